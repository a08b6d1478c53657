"""The unprivileged account the servers run under when we are root: PostgreSQL refuses to run as root."""

import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

from graphql_api.embedded.errors import EmbeddedServerError

if sys.platform != "win32":  # no wheels exist there: `start` refuses before it asks for an account
    import pwd

CANDIDATES = ("postgres", "nobody")


class Account(NamedTuple):
    """A system account by its numbers."""

    uid: int
    gid: int


def server_account(existing: Path | None) -> Account | None:
    """Return whom to run the servers as: None means ourselves.

    As root it is the owner of the data that exists already, or else an unprivileged account.
    """
    if os.geteuid() != 0:
        return None
    if existing is not None and existing.exists():
        status = existing.stat()
        return Account(status.st_uid, status.st_gid)
    for name in CANDIDATES:
        account = _find_account(name)
        if account is not None:
            return account
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and there is no account named "
        f"{' or '.join(CANDIDATES)}. Run as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def can_reach(account: Account | None, path: Path) -> bool:
    """Tell whether the account may enter all folders above `path`, and may read and enter, or run, `path`."""
    if account is None:
        return True
    resolved = path.resolve()
    way = all(_allows(folder, account, stat.S_IXOTH) for folder in resolved.parents)
    return way and _allows(resolved, account, stat.S_IROTH | stat.S_IXOTH)


def can_enter(account: Account | None, folder: Path) -> bool:
    """Tell whether the account may pass through `folder` to what is in it."""
    if account is None:
        return True
    resolved = folder.resolve()
    return all(_allows(each, account, stat.S_IXOTH) for each in (resolved, *resolved.parents))


def hand_over(path: Path, account: Account | None) -> None:
    """Make the account the owner of a file or folder that we created."""
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _find_account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid) if entry.pw_uid else None


def _allows(path: Path, account: Account, rights_of_others: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        wanted = rights_of_others << 6
    elif status.st_gid == account.gid:
        wanted = rights_of_others << 3
    else:
        wanted = rights_of_others
    return status.st_mode & wanted == wanted
