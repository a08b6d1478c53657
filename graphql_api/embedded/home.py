"""Where the servers of a data folder live.

The home is `<data_dir>/embedded`. As root, when the servers' account cannot enter that, it is a symbolic link
to a folder the account can enter; the folders of others are never opened up for it. The home itself stays
ours, so the account can plant nothing in it; each server owns only its own data folder inside.
"""

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path

from graphql_api.embedded.account import Account, can_enter
from graphql_api.embedded.errors import EmbeddedServerError

NAME = "embedded"
# both survive a restart of the machine, which the temporary folder does not
FALLBACKS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - `_make_own_folder` refuses a folder someone else planted


def make_home(data_dir: Path, account: Account | None) -> Path:
    """Create the home if needed and return its real path."""
    data_dir.mkdir(parents=True, exist_ok=True)
    link = data_dir / NAME
    if link.is_symlink():
        return _make_fallback(link.readlink(), account)
    if link.exists() or can_enter(account, data_dir):
        home = _make_own_folder(link.resolve(), account)
        return home if can_enter(account, home) else _refuse_unreachable(home)
    return _link_to_fallback(link, account)


def make_server_folder(home: Path, name: str, account: Account | None) -> Path:
    """Create the folder of one server in the home."""
    return _make_own_folder(home / name, account)


def find_home(data_dir: Path) -> Path | None:
    """Return the home of a data folder that was started before."""
    link = data_dir / NAME
    return link.resolve() if link.exists() else None


def remove_home(data_dir: Path) -> None:
    """Delete the home with everything in it."""
    home = find_home(data_dir)
    if home is not None:
        shutil.rmtree(home)
    link = data_dir / NAME
    if link.is_symlink():
        shared = link.readlink().parent
        link.unlink()
        with contextlib.suppress(OSError):  # other data folders have their homes there
            shared.rmdir()


def _link_to_fallback(link: Path, account: Account | None) -> Path:
    # A new name each time: a data folder that was deleted and made again must not find its old data.
    key = secrets.token_hex(8)
    for base in FALLBACKS:
        if base.is_dir() and os.access(base, os.W_OK) and can_enter(account, base):
            return _link(link, _make_fallback(base / "graphql-api" / key, account), account)
    return _refuse_unreachable(link.parent)


def _link(link: Path, home: Path, account: Account | None) -> Path:
    """Record the home; of two processes that start at once, the first decides."""
    try:
        link.symlink_to(home)
    except FileExistsError:
        home.rmdir()
        return _make_fallback(link.readlink(), account)
    return home


def _make_fallback(home: Path, account: Account | None) -> Path:
    _make_own_folder(home.parent, account)
    return _make_own_folder(home, account)


def _make_own_folder(folder: Path, account: Account | None) -> Path:
    """Create a folder that is ours alone: nobody else writes in it; the account, if any, passes through."""
    mode = 0o700 if account is None else 0o711
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        return _expect_ours(folder)
    folder.chmod(mode)  # whatever the umask
    return folder


def _expect_ours(folder: Path) -> Path:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise EmbeddedServerError(
            f"{folder} must be a folder of the account that runs this program, where nobody else may write. "
            f"Run as its owner (uid {status.st_uid}), or set DATA_DIR to another folder."
        )
    return folder


def _refuse_unreachable(folder: Path) -> Path:
    raise EmbeddedServerError(
        f"The unprivileged account that runs PostgreSQL for root cannot enter {folder}. "
        "Set DATA_DIR to a folder it can enter, run as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )
