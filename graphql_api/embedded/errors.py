"""What goes wrong with the servers we run ourselves."""


class EmbeddedServerError(Exception):
    """A server of our own cannot run; the message says why and what to do."""
