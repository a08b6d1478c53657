"""The secret keys: their names, what is derived from them, and the file of our own."""

import asyncio
import json
import re
import stat
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from graphql_api.config import SettingsError, load_settings
from graphql_api.services.key import GivenKeys, WeakKeyError, key_of
from graphql_api.services.key_file import NAME, REREAD_SECONDS, KeyFileError, OwnKeys, rotate_own_keys
from graphql_api.services.resources import create_keys

SECRET = "a-secret-key-of-the-tests-0123456789"  # noqa: S105 - of keys that sign nothing
OTHER = "another-secret-key-of-the-tests-98765"
STARTS = 8
START = """
import sys, pathlib
from graphql_api.services.key_file import OwnKeys
print(OwnKeys(pathlib.Path(sys.argv[1])).current.id)
"""


def content(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / NAME).read_text()))


def test_a_key_has_the_same_name_everywhere_and_does_not_show_its_secret() -> None:
    key = key_of(SECRET)

    assert key.id == key_of(SECRET).id != key_of(OTHER).id
    assert re.fullmatch(r"[0-9a-f]{12}", key.id)
    assert SECRET not in repr(key)
    assert SECRET not in repr(GivenKeys(SECRET, [OTHER]))


@pytest.mark.parametrize("secret", ["", "x" * 31, "changeme" * 8, "0123456789abcdef0123456789abcde"])
def test_a_key_that_could_be_guessed_is_refused(secret: str) -> None:
    with pytest.raises(WeakKeyError):
        key_of(secret)
    with pytest.raises(WeakKeyError):
        GivenKeys(SECRET, [secret])


def test_what_is_derived_is_for_one_purpose_and_one_list_of_parts() -> None:
    key = key_of(SECRET)
    derived = [
        key.derive("access"),
        key.derive("ticket"),
        key.derive("access", b""),
        key.derive("access", b"ab", b"c"),
        key.derive("access", b"a", b"bc"),
        key.derive("acces", b"s"),
        key_of(OTHER).derive("access"),
    ]

    assert len(set(derived)) == len(derived)
    assert {len(each) for each in derived} == {32}
    assert key.derive("access", b"ab", b"c") == derived[3]


def test_replaced_keys_are_found_and_the_first_signs() -> None:
    keys = GivenKeys(OTHER, [SECRET])

    assert keys.current == key_of(OTHER)
    assert keys.find(key_of(SECRET).id) == key_of(SECRET)
    assert keys.find("unknown") is None


def test_the_settings_decide_between_given_keys_and_our_own(tmp_path: Path) -> None:
    given = load_settings(tmp_path / "none", data_dir=tmp_path, secret_key=OTHER, previous_secret_keys=SECRET)
    own = load_settings(tmp_path / "none", data_dir=tmp_path)
    orphaned = load_settings(tmp_path / "none", data_dir=tmp_path, previous_secret_keys=SECRET)

    assert create_keys(given).current == key_of(OTHER)
    assert not (tmp_path / NAME).exists()
    assert create_keys(own).current.id == key_of(content(tmp_path)["keys"][0]["secret"]).id
    with pytest.raises(SettingsError, match="PREVIOUS_SECRET_KEYS needs SECRET_KEY"):
        create_keys(orphaned)


def test_the_file_is_made_once_for_this_account_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "deeper"

    made = OwnKeys(folder)
    found = OwnKeys(folder)

    assert made.current == found.current
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600
    assert [path.name for path in sorted(folder.iterdir())] == [NAME, "keys.lock"]


async def test_processes_that_start_at_once_make_one_key_between_them(tmp_path: Path) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", START, str(tmp_path / "data"), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(STARTS)
    ]
    answers = [(await process.communicate())[0].decode().strip() for process in processes]

    assert len(set(answers)) == 1
    assert [process.returncode for process in processes] == [0] * STARTS
    assert len(content(tmp_path / "data")["keys"]) == 1


def test_a_running_process_signs_with_a_new_key_and_accepts_the_old(tmp_path: Path) -> None:
    running = OwnKeys(tmp_path)
    old = running.current

    new = rotate_own_keys(tmp_path)

    assert running.find(new.id) == new
    assert running.current == new != old
    assert running.find(old.id) == old


def test_the_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = OwnKeys(tmp_path)
    reads: list[Path] = []
    monkeypatch.setattr("graphql_api.services.key_file._read", reads.append)

    for number in range(1_000):
        assert running.find(str(number)) is None
        assert running.find(running.current.id) == running.current

    assert reads == []


def test_a_replaced_key_is_accepted_for_ninety_days(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False) as clock:
        old = OwnKeys(tmp_path).current
        rotate_own_keys(tmp_path)
        running = OwnKeys(tmp_path)

        clock.move_to(now + timedelta(days=89))
        assert running.find(old.id) == old
        clock.move_to(now + timedelta(days=91))
        assert running.find(old.id) is None
        rotate_own_keys(tmp_path)

    assert len(content(tmp_path)["keys"]) == 2  # the newest and the one it has replaced just now


def test_a_key_that_somebody_may_know_is_dropped_in_running_processes_too(tmp_path: Path) -> None:
    running = OwnKeys(tmp_path)
    known = running.current
    assert running.find(known.id) == known

    rotate_own_keys(tmp_path, forget=True)
    time.sleep(REREAD_SECONDS)

    assert running.find(known.id) is None
    assert len(content(tmp_path)["keys"]) == 1


@pytest.mark.parametrize(
    "damage",
    ["", "{}", '{"keys": []}', "[1]", "null", '{"keys": [{"secret": "short", "replaced_at": null}]}', '{"keys": [3]}'],
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, damage: str) -> None:
    OwnKeys(tmp_path)
    (tmp_path / NAME).write_text(damage)

    with pytest.raises(KeyFileError, match=r"keys\.json is damaged\. Put back a copy"):
        OwnKeys(tmp_path)
    with pytest.raises(KeyFileError, match="damaged"):
        rotate_own_keys(tmp_path)

    assert (tmp_path / NAME).read_text() == damage


def test_a_running_process_keeps_its_keys_when_the_file_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = OwnKeys(tmp_path)
    key = running.current
    secret = content(tmp_path)["keys"][0]["secret"]

    (tmp_path / NAME).write_text(f'{{"keys": "{secret}')

    assert running.current == key
    assert "The keys stay as they were" in caplog.text
    assert secret not in caplog.text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    OwnKeys(tmp_path)
    (tmp_path / NAME).chmod(mode)

    with pytest.raises(KeyFileError, match="chmod 600"):
        OwnKeys(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(KeyFileError, match="Set DATA_DIR to a folder of your own, or SECRET_KEY"):
        OwnKeys(tmp_path / "file" / "data")


def test_a_rotation_that_dies_half_way_leaves_the_keys_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = OwnKeys(tmp_path).current

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graphql_api.services.key_file.os.fsync", fail)
    with pytest.raises(KeyFileError, match="No space left"):
        rotate_own_keys(tmp_path)

    assert OwnKeys(tmp_path).current == key
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "keys.lock"]
