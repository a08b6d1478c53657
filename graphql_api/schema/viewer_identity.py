"""Viewers for what many may share: they tell whether anybody has asked who exactly it is.

Whatever depends on the role alone is the same for all who have it. What reads the account or the session is not, and
must never be handed to somebody else.
"""

from abc import ABC, abstractmethod

from graphql_api.database.user import Role
from graphql_api.services.policy import Viewer


class StandsForMany(Exception):  # noqa: N818 - reads as what it is
    """Somebody in particular was asked for where the viewer stands for many."""


class AttentiveViewer(Viewer, ABC):
    """A viewer that notices who asks: `is_asked` tells whether the account or the session was read."""

    __slots__ = ("is_asked",)
    is_asked: bool

    def __init__(self, role: Role) -> None:
        # as a frozen dataclass sets its fields; the other two are properties here
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "is_asked", False)

    # those of a dataclass would read the account
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @abstractmethod
    def _person(self) -> Viewer:
        """Who it is."""

    @property
    def user_id(self) -> int:
        """The account."""
        return self._asked().user_id

    @property
    def session_id(self) -> int:
        """The session."""
        return self._asked().session_id

    def _asked(self) -> Viewer:
        object.__setattr__(self, "is_asked", True)
        return self._person()


class SharedViewer(AttentiveViewer):
    """Everybody of a role at once: it has no account and no session, and reading them raises `StandsForMany`.

    `is_asked` tells of it also when whoever asked has swallowed the refusal.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"SharedViewer({self.role})"

    def _person(self) -> Viewer:
        raise StandsForMany("This viewer stands for many.")


class WatchedViewer(AttentiveViewer):
    """Somebody in particular."""

    __slots__ = ("_viewer",)
    _viewer: Viewer

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer.role)
        object.__setattr__(self, "_viewer", viewer)

    def __repr__(self) -> str:
        return f"WatchedViewer({self._viewer!r})"

    def _person(self) -> Viewer:
        return self._viewer
