"""The secret keys of the house: they sign access tokens and make codes and successors that only we can make."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Key:
    """A secret and its public name, which stands in tokens."""

    id: str
    secret: bytes = field(repr=False)


class KeyRing(Protocol):
    """The key in use and those it has replaced."""

    @property
    def current(self) -> Key:
        """The key that signs."""
        ...

    def find(self, key_id: str) -> Key | None:
        """The key of this name, as long as what it signed is accepted."""
        ...
