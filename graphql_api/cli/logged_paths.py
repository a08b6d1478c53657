"""What a log says of addresses; small, because each process of a server loads it before it is known to live."""

import logging


class PathsOnly(logging.Filter):
    """Cuts addresses in a log where their queries begin: there stand tokens, tickets, and what somebody looks for."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record, and have it logged."""
        if isinstance(record.args, tuple):
            record.args = tuple(value.partition("?")[0] if isinstance(value, str) else value for value in record.args)
        return True
