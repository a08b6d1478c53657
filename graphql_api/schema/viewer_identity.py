"""Viewers for what many may share: they tell whether anybody has asked who exactly it is.

Whatever depends on the role alone is the same for all who have it. What reads the account or the session is not, and
must never be handed to somebody else.
"""

from graphql_api.database.user import Role
from graphql_api.services.policy import Viewer


class StandsForMany(Exception):  # noqa: N818 - reads as what it is
    """Somebody in particular was asked for where the viewer stands for many."""


class SharedViewer(Viewer):
    """Everybody of a role at once: it has no account and no session.

    `is_asked` tells whether one was asked for, also when the refusal was swallowed by whoever asked.
    """

    __slots__ = ("is_asked",)
    is_asked: bool

    def __init__(self, role: Role) -> None:
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "is_asked", False)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"SharedViewer({self.role})"

    @property
    def user_id(self) -> int:
        """Nobody's.

        Raises:
            StandsForMany: always.
        """
        raise self._asked()

    @property
    def session_id(self) -> int:
        """Nobody's.

        Raises:
            StandsForMany: always.
        """
        raise self._asked()

    def _asked(self) -> StandsForMany:
        object.__setattr__(self, "is_asked", True)
        return StandsForMany("This viewer stands for many.")


class WatchedViewer(Viewer):
    """Somebody in particular; `is_asked` tells whether the account or the session was asked for."""

    __slots__ = ("_viewer", "is_asked")
    is_asked: bool
    _viewer: Viewer

    def __init__(self, viewer: Viewer) -> None:
        object.__setattr__(self, "role", viewer.role)
        object.__setattr__(self, "_viewer", viewer)
        object.__setattr__(self, "is_asked", False)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"WatchedViewer({self._viewer!r})"

    @property
    def user_id(self) -> int:
        """The account."""
        object.__setattr__(self, "is_asked", True)
        return self._viewer.user_id

    @property
    def session_id(self) -> int:
        """The session."""
        object.__setattr__(self, "is_asked", True)
        return self._viewer.session_id
