"""Passwords: what they must be like, and how they are kept."""


class Passwords:
    """Hashes and checks passwords with argon2id, in threads, a few at a time."""

    async def hash(self, password: str) -> str:
        """The hash to keep of a password."""
        raise NotImplementedError

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; None, for an unknown account, costs the same and is False."""
        raise NotImplementedError

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than those of today."""
        raise NotImplementedError


def checked_password(
    password: str, *, email: str | None = None, name: str | None = None, path: tuple[str, ...] = ("password",)
) -> str:
    """The password in Unicode form NFC, when it meets the policy.

    Raises:
        BadInput: it is too short, too long, well known, or made of the person's own name or address.
    """
    raise NotImplementedError
