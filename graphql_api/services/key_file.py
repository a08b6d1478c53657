"""Keys of our own, in a file that only this account can read: for whoever sets no SECRET_KEY."""

import contextlib
import json
import logging
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from graphql_api.config import SettingsError
from graphql_api.embedded.errors import EmbeddedServerError
from graphql_api.embedded.locks import Lock, held
from graphql_api.services.key import Key, WeakKeyError, key_of

logger = logging.getLogger(__name__)

NAME = "keys.json"
LOCK_SECONDS = 10.0
# As long as the longest-lived thing that a key can have signed.
KEPT = timedelta(days=90)
SECRET_BYTES = 32
REREAD_SECONDS = 1.0


class KeyFileError(SettingsError):
    """The file of our own keys cannot be used; the message names the way out, never a key."""


@dataclass(frozen=True)
class OwnKey:
    """A key as the file has it; `replaced_at` is None for the one in use."""

    key: Key
    text: str = field(repr=False)
    replaced_at: datetime | None = None

    @property
    def is_retired(self) -> bool:
        """Whether nothing it signed can be valid any more."""
        return self.replaced_at is not None and datetime.now(UTC) - self.replaced_at > KEPT


class OwnKeys:
    """The keys of a data folder, made at the first start, followed while others replace them.

    Args:
        folder: DATA_DIR.

    Raises:
        KeyFileError: the file can be read by others, is damaged, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        if not self._path.exists():
            with _alone(folder):
                if not self._path.exists():
                    _write(self._path, [_new_key()])
        self._seen = _state(self._path)
        self._keys = _read(self._path)
        self._looked_at = float("-inf")

    @property
    def current(self) -> Key:
        """The key that signs."""
        self._look_again()
        return self._keys[0].key

    def find(self, key_id: str) -> Key | None:
        """The key of this name; whether others have made or dropped keys shows in the file, read only if it changed."""
        now = time.monotonic()
        key = self._known(key_id)
        # a key that was dropped is to be noticed too, but not for the price of a look at each request
        if key is None or now - self._looked_at >= REREAD_SECONDS:
            self._looked_at = now
            self._look_again()
            key = self._known(key_id)
        return key

    def _known(self, key_id: str) -> Key | None:
        return next((own.key for own in self._keys if own.key.id == key_id and not own.is_retired), None)

    def _look_again(self) -> None:
        """Read the file again if it has changed; one that cannot be used leaves what is known."""
        state = _state(self._path)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._keys = _read(self._path)
        except KeyFileError as error:
            logger.warning("The keys stay as they were: %s", error)


def rotate_own_keys(folder: Path, *, forget: bool = False) -> Key:
    """Make a new first key; running processes sign with it from their next token on.

    Args:
        folder: DATA_DIR.
        forget: drop the older keys at once, because somebody may know them; access tokens, tickets and codes made
            with them are worthless from then on.

    Raises:
        KeyFileError: the file cannot be read or written.
    """
    path = folder / NAME
    with _alone(folder):
        older = _read(path) if path.exists() and not forget else []
        now = datetime.now(UTC)
        replaced = [OwnKey(own.key, own.text, own.replaced_at or now) for own in older]
        made = _new_key()
        _write(path, [made, *(own for own in replaced if not own.is_retired)])
        return made.key


def _new_key() -> OwnKey:
    text = secrets.token_hex(SECRET_BYTES)
    return OwnKey(key_of(text), text)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the file, so that two processes make one key between them."""
    if sys.platform == "win32":
        raise KeyFileError("Keys of our own are kept on Linux and macOS only. Set SECRET_KEY.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder / "keys.lock", Lock.EXCLUSIVE, LOCK_SECONDS):
            yield
    except EmbeddedServerError as error:
        raise KeyFileError(f"{error} Or set SECRET_KEY.") from None
    except OSError as error:
        raise KeyFileError(
            f"{folder / NAME} cannot be written: {error.strerror}. Set DATA_DIR to a folder of your own, or SECRET_KEY."
        ) from None


def _write(path: Path, keys: list[OwnKey]) -> None:
    """Replace the file as a whole: nobody ever reads half of it."""
    entries = [
        {"secret": own.text, "replaced_at": own.replaced_at.isoformat() if own.replaced_at else None} for own in keys
    ]
    temporary = path.with_name(f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor made with its rights
            json.dump({"keys": entries}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the disk know the new name, or a power cut could bring the old keys back."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes with the file; None when it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> list[OwnKey]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}. Run as the account that owns it, or set SECRET_KEY."
        ) from None
    if mode & 0o077:
        raise KeyFileError(
            f"{path} holds secret keys, but other accounts can open it. `chmod 600` it; if somebody may have read it, "
            "run `graphql-api rotate-keys` afterwards."
        )
    try:
        keys = [_parse(entry) for entry in json.loads(content)["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError, WeakKeyError):
        keys = []
    if not keys:
        raise KeyFileError(
            f"{path} is damaged. Put back a copy of it, or remove it: new keys are made, and whoever is signed in "
            "has to renew the access token."
        )
    return keys


def _parse(entry: dict[str, Any]) -> OwnKey:
    replaced_at = datetime.fromisoformat(entry["replaced_at"]) if entry["replaced_at"] else None
    return OwnKey(key_of(entry["secret"]), entry["secret"], replaced_at)
