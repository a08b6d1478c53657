"""The commands about accounts and keys, as an operator runs them."""

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, cast

import httpx
import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.password import Passwords
from tests.cli.conftest import (
    ADMIN,
    PROGRAM,
    TIMEOUT_SECONDS,
    Installation,
    Operator,
    greeting,
    served_url,
    sign_in,
    stop,
)
from tests.factories import create_session, create_user

SECRET = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"  # noqa: S105 - of no installation
# A terminal for a program: what it prints comes out, what is typed goes in.
TERMINAL = f"import pty, sys; sys.exit(pty.spawn({PROGRAM!r} + sys.argv[1:]) >> 8)"
ME = "{ me { email role } }"


async def rows(database: Database, statement: str) -> list[dict[str, Any]]:
    async with database.dedicated() as connection:
        return [dict(row) for row in await connection.fetch(statement)]


async def audit(database: Database) -> list[tuple[str, str]]:
    """Action and outcome of each entry of the audit record."""
    entries = await rows(database, "SELECT action, outcome FROM audit_entry ORDER BY id")
    return [(entry["action"], entry["outcome"]) for entry in entries]


async def test_an_administrator_is_made_from_the_environment(operator: Operator, database: Database) -> None:
    result = operator.run("create-admin", "--name", "Ada Boss", **ADMIN)

    assert (result.returncode, result.stderr) == (0, "")
    assert "boss@shop.example" in result.stdout
    assert ADMIN["ADMIN_PASSWORD"] not in result.stdout
    (user,) = await rows(database, "SELECT email, name, role, is_active, password_hash FROM user_account")
    assert (user["email"], user["name"], user["role"], user["is_active"]) == (
        "boss@shop.example",
        "Ada Boss",
        "ADMIN",
        True,
    )
    assert await Passwords().verify(ADMIN["ADMIN_PASSWORD"], user["password_hash"])
    (entry,) = await rows(database, "SELECT action, outcome, actor_id, entity, after FROM audit_entry")
    assert (entry["action"], entry["outcome"], entry["actor_id"], entry["entity"]) == (
        "cli create-admin",
        "DONE",
        None,
        "User",
    )
    assert "argon2" not in entry["after"]


async def test_an_address_with_an_account_is_refused_and_recorded(operator: Operator, database: Database) -> None:
    assert operator.run("create-admin", **ADMIN).returncode == 0

    again = operator.run("create-admin", **ADMIN)

    assert again.returncode == 1
    assert again.stderr.startswith("Error: There is an account with this address.")
    assert await audit(database) == [("cli create-admin", "DONE"), ("cli create-admin", "REFUSED")]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ADMIN_PASSWORD": "password123"}, "among those that are tried first"),
        ({"ADMIN_PASSWORD": "too short"}, "at least 10 characters"),
        ({"ADMIN_PASSWORD": "boss@shop.example"}, "your own name or address"),
        ({"ADMIN_EMAIL": "boss"}, "not an e-mail address"),
    ],
)
def test_what_the_policy_refuses_is_refused_before_a_server_starts(
    installation: Installation, changes: dict[str, str], sentence: str
) -> None:
    given = {**ADMIN, **changes}

    result = installation.run("create-admin", **given)

    assert result.returncode == 1
    assert sentence in result.stderr
    assert given["ADMIN_PASSWORD"] not in result.stderr
    assert not (installation.folder / "var").exists()


def test_without_a_terminal_it_says_which_variables_to_set(installation: Installation) -> None:
    result = installation.run("create-admin", "--email", "boss@shop.example")

    assert result.returncode == 1
    assert "ADMIN_PASSWORD" in result.stderr


def test_the_password_cannot_be_given_as_an_argument(installation: Installation) -> None:
    assert installation.run("create-admin", "--password", "violet harbour lantern").returncode == 2
    assert "ADMIN_EMAIL" in installation.run("create-admin", "--help").stdout


async def test_in_a_terminal_it_asks_and_shows_no_password(operator: Operator, database: Database) -> None:
    # given the command in a terminal
    process = start_in_terminal(operator, "create-admin")
    # when it is answered
    shown = "".join(
        answer(process, prompt, text)
        for prompt, text in (
            ("E-mail: ", "boss@shop.example"),
            ("Password: ", ADMIN["ADMIN_PASSWORD"]),
            ("confirmation: ", ADMIN["ADMIN_PASSWORD"]),
        )
    )
    rest, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    # then there is an account, and the password was never to be seen
    assert process.returncode == 0, shown + rest
    assert "can sign in as administrator" in rest
    assert ADMIN["ADMIN_PASSWORD"] not in shown + rest
    assert await rows(database, "SELECT email FROM user_account") == [{"email": "boss@shop.example"}]


def start_in_terminal(operator: Operator, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *arguments],
        cwd=operator.installation.folder,
        env=operator.installation.environment(**operator.servers),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    operator.installation.started.append(process)
    return process


def answer(process: subprocess.Popen[str], prompt: str, text: str) -> str:
    """Type a line once the prompt is there; what was shown until then."""
    shown = ""
    while not shown.endswith(prompt):
        character = cast("IO[str]", process.stdout).read(1)
        assert character, shown
        shown += character
    typing = cast("IO[str]", process.stdin)
    typing.write(f"{text}\n")
    typing.flush()
    return shown


async def test_accounts_are_listed_by_address(operator: Operator, database: Database) -> None:
    async with database.transaction() as session:
        staff = await create_user(session, email="zoe@shop.example", name="Zoë Long-Name", role=Role.STAFF)
        await create_user(session, email="amir@shop.example", role=Role.CUSTOMER, is_active=False)
        sign_in_at = (await create_session(session, staff)).created_at

    table = operator.run("users").stdout.splitlines()
    listed = json.loads(operator.run("users", "--json").stdout)

    assert [line.split()[0] for line in table] == ["E-mail", "amir@shop.example", "zoe@shop.example"]
    assert re.search(r"CUSTOMER +no .* never$", table[1])
    assert re.search(rf"Zoë Long-Name +STAFF +yes .* {sign_in_at:%Y-%m-%d %H:%M}$", table[2])
    assert [(user["email"], user["role"], user["isActive"]) for user in listed] == [
        ("amir@shop.example", "CUSTOMER", False),
        ("zoe@shop.example", "STAFF", True),
    ]
    assert listed[0]["signedInAt"] is None
    assert listed[1]["signedInAt"].startswith(f"{sign_in_at:%Y-%m-%dT%H:%M}")


async def test_roles_and_access_are_changed_and_recorded(operator: Operator, database: Database) -> None:
    async with database.transaction() as session:
        await create_user(session, email="boss@shop.example")
        staff = await create_user(session, email="zoe@shop.example", role=Role.STAFF)
        await create_session(session, staff)

    results = [
        operator.run("users", *arguments)
        for arguments in (
            ("set-role", "Zoe@shop.example", "salesperson"),
            ("deactivate", "zoe@shop.example"),
            ("activate", "zoe@shop.example"),
        )
    ]

    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr for result in results]
    (user,) = await rows(database, "SELECT role, is_active FROM user_account WHERE email = 'zoe@shop.example'")
    assert user == {"role": "SALESPERSON", "is_active": True}
    assert await rows(database, "SELECT ended_by FROM session") == [{"ended_by": "DEACTIVATED"}]
    assert await audit(database) == [
        ("cli users set-role", "DONE"),
        ("cli users deactivate", "DONE"),
        ("cli users activate", "DONE"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["set-role", "boss@shop.example", "STAFF"], 1, "last active administrator"),
        (["deactivate", "boss@shop.example"], 1, "last active administrator"),
        (["deactivate", "nobody@shop.example"], 1, "no account with this address"),
        (["set-role", "boss@shop.example", "KING"], 2, "KING"),
        (["delete", "boss@shop.example"], 2, "delete"),
    ],
)
async def test_what_cannot_be_changed_says_why(
    operator: Operator, database: Database, arguments: list[str], code: int, sentence: str
) -> None:
    async with database.transaction() as session:
        await create_user(session, email="boss@shop.example")

    result = operator.run("users", *arguments)

    assert (result.returncode, sentence in result.stderr) == (code, True), result.stderr
    (user,) = await rows(database, "SELECT role, is_active FROM user_account")
    assert user == {"role": "ADMIN", "is_active": True}


async def test_an_invitation_shows_its_code_once_and_is_mailed(operator: Operator, database: Database) -> None:
    result = operator.run("invite", "New@shop.example", "--role", "staff")

    assert result.returncode == 0, result.stderr
    found = re.match(r"Code for new@shop.example as STAFF: ([0-9A-Z]{10})$", result.stdout, re.MULTILINE)
    assert found
    assert await rows(database, "SELECT email, role FROM invitation") == [
        {"email": "new@shop.example", "role": "STAFF"}
    ]
    jobs = await rows(database, "SELECT entrypoint, payload FROM jobs.pgqueuer")
    assert [job["entrypoint"] for job in jobs] == ["mail"]
    assert found[1].encode() not in jobs[0]["payload"]
    assert found[1] not in str(await rows(database, "SELECT * FROM audit_entry"))


async def test_who_cannot_be_invited(operator: Operator, database: Database) -> None:
    async with database.transaction() as session:
        await create_user(session, email="boss@shop.example")

    customer = operator.run("invite", "new@shop.example", "--role", "customer")
    known = operator.run("invite", "boss@shop.example", "--role", "staff")

    assert (customer.returncode, known.returncode) == (1, 1)
    assert "they register" in customer.stderr
    assert "There is an account" in known.stderr
    assert operator.run("invite", "new@shop.example").returncode == 2


def key_file(folder: Path) -> list[str]:
    path = folder / "var" / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return [key["secret"] for key in json.loads(path.read_text())["keys"]]


def test_keys_of_our_own_are_replaced_and_remembered(installation: Installation) -> None:
    results = [installation.run("rotate-keys"), installation.run("rotate-keys")]

    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    first, second = key_file(installation.folder)
    assert not any(secret in result.stdout for secret in (first, second) for result in results)

    assert installation.run("rotate-keys", "--forget").returncode == 0
    (third,) = key_file(installation.folder)
    assert third not in {first, second}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "Put the present value of SECRET_KEY into PREVIOUS_SECRET_KEYS."),
        ({"PREVIOUS_SECRET_KEYS": SECRET[::-1]}, "Put the present value of SECRET_KEY first in PREVIOUS_SECRET_KEYS."),
    ],
)
def test_for_a_given_key_it_says_what_to_set_and_shows_none(
    installation: Installation, settings: dict[str, str], sentence: str
) -> None:
    result = installation.run("rotate-keys", SECRET_KEY=SECRET, **settings)

    assert result.returncode == 1
    assert sentence in result.stderr
    assert "openssl rand -hex 32" in result.stderr
    assert SECRET not in result.stdout + result.stderr
    assert not (installation.folder / "var").exists()


def test_a_running_server_follows_the_keys(operator: Operator) -> None:
    # given somebody who has signed in
    assert operator.run("create-admin", **ADMIN).returncode == 0
    process = operator.start("serve", "--port", "0")
    url = served_url(process)
    before = sign_in(url)

    # when the key is replaced, then the token stays good; and new tokens are signed with the new key
    assert operator.run("rotate-keys").returncode == 0
    after = sign_in(url)
    assert [who(url, header) for header in (before, after)] == ["ADMIN", "ADMIN"]

    # when older keys are dropped, then what they signed is worthless, and nothing else
    assert operator.run("rotate-keys", "--forget").returncode == 0
    latest = sign_in(url)
    assert [who(url, header) for header in (before, after, latest)] == [None, None, "ADMIN"]
    assert stop(process)[0] == 0


def who(url: str, header: dict[str, str]) -> str | None:
    """The role of whoever the header signs in; None for nobody."""
    me = httpx.post(url, json={"query": ME}, headers=header, timeout=TIMEOUT_SECONDS).json()["data"]["me"]
    return me["role"] if me else None


def test_the_first_start_says_how_to_make_an_account(operator: Operator) -> None:
    process = operator.start("serve", "--port", "0")
    first = "".join(greeting(process))
    stop(process, signal.SIGTERM)
    assert operator.run("create-admin", **ADMIN).returncode == 0
    process = operator.start("serve", "--port", "0")
    second = "".join(greeting(process))
    stop(process, signal.SIGTERM)

    assert first.count("graphql-api create-admin") == 1
    assert "create-admin" not in second


async def test_an_entry_that_somebody_changed_past_the_program_is_found(operator: Operator, database: Database) -> None:
    # given a record that is intact
    assert operator.run("create-admin", **ADMIN).returncode == 0
    assert operator.run("invite", "new@shop.example", "--role", "staff").returncode == 0
    intact = operator.run("verify-audit", "--json")
    assert (intact.returncode, json.loads(intact.stdout)["checked"]) == (0, 2)
    # when somebody who rules the database covers a trace
    async with database.dedicated() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE audit_entry SET action = 'login' WHERE action = 'cli create-admin'")
    # then the entry is named
    result = operator.run("verify-audit")
    assert result.returncode == 1
    assert "`login`" in result.stdout
    assert "invite" not in result.stdout


async def test_the_demonstration_prints_its_logins_each_time(operator: Operator, database: Database) -> None:
    first = operator.run("demo")
    again = operator.run("demo")
    (password,) = re.findall(r"^  CUSTOMER +customer@demo.example +(\w{12})$", first.stdout, re.MULTILINE)

    assert again.stdout.splitlines() == first.stdout.splitlines()[1:]
    (user,) = await rows(database, "SELECT password_hash FROM user_account WHERE role = 'CUSTOMER'")
    assert await Passwords().verify(password, user["password_hash"])

    # after a change of keys the passwords cannot be told any more, until they are set anew
    assert operator.run("rotate-keys").returncode == 0
    assert operator.run("demo").stdout.count("--reset-logins") == 4
    assert len(re.findall(r"demo.example +\w{12}$", operator.run("demo", "--reset-logins").stdout, re.MULTILINE)) == 4
