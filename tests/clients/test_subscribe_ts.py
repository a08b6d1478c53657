"""The example in TypeScript, as somebody runs it, against a real server that is restarted meanwhile."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT
from tests.clients.aging_line import aging_line
from tests.clients.conftest import CITY, Shop
from tests.clients.node_program import PATIENCE_SECONDS, NodeProgram, node_program
from tests.clients.packages import FOLDER

EXAMPLE = ROOT / "client_examples/subscribe.ts"
LONGEST_EXAMPLE = 110
TYPE_CHECK = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck")


@pytest.fixture
def folder(packages: None, tmp_path: Path) -> Path:
    """A folder as the example asks for it: with the packages it needs."""
    assert packages is None
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    return tmp_path


@contextmanager
def running(folder: Path, url: str, logins: dict[str, str]) -> Iterator[NodeProgram]:
    arguments = ["--import", "tsx", EXAMPLE.name, url, CITY]
    with node_program(arguments, folder, **logins) as program:
        yield program


def levels(program: NodeProgram) -> list[int]:
    """How many bottles there were after each change that it has printed."""
    return [int(line.partition(" = ")[2].partition(" ")[0]) for line in program.lines]


def test_it_prints_every_change_once_and_goes_on_after_a_restart(shop: Shop, folder: Path) -> None:
    with running(folder, shop.server.url, shop.logins) as program:
        # given somebody who listens
        wait_for_first(program, shop)
        first = levels(program)[0]
        # when stock changes while the server is there, while it is not, and afterwards
        shop.change(10)
        program.wait_for(lambda: levels(program)[-1] == shop.on_hand)
        shop.server.stop()
        shop.change(10)
        shop.server.start()
        program.wait_for(lambda: levels(program)[-1] == shop.on_hand)
        shop.change(5)
        program.wait_for(lambda: levels(program)[-1] == shop.on_hand)
        # then each was printed once and in order, in words, and the refresh token was used to come back
        assert levels(program) == list(range(first, shop.on_hand + 1))
        names = f"{shop.store.name} | {shop.product.name}"
        assert program.lines[-1] == f"{names} | {shop.on_hand - 1} +1 = {shop.on_hand} bottles | ADJUSTMENT\n"
        # and it has said so, on another stream
        program.wait_for(lambda: "The connection is lost, coming back: 1012\n" in program.complaints)


def wait_for_first(program: NodeProgram, shop: Shop) -> None:
    """Change stock until it prints: that it has connected does not mean that it listens already."""

    def changed() -> bool:
        shop.change()
        return bool(program.lines)

    program.wait_for(changed)
    program.wait_for(lambda: levels(program)[-1] == shop.on_hand)


def test_it_renews_its_token_on_the_connection_that_it_has(shop: Shop, folder: Path) -> None:
    # given somebody whose token ends within a minute
    with aging_line(shop.server.port) as line, running(folder, line.url, shop.logins) as program:
        wait_for_first(program, shop)
        # when the server has said so, then it has another one, and the connection lasts
        program.wait_for(lambda: b'"type":"AuthRenewed"' in line.heard)
        shop.change()
        program.wait_for(lambda: levels(program)[-1] == shop.on_hand)
        assert b'"type":"AuthExpiring"' in line.heard
        assert program.complaints == []


def test_it_says_why_it_cannot_sign_in(shop: Shop, folder: Path) -> None:
    wrong = {**shop.logins, "API_PASSWORD": "something else"}
    with running(folder, shop.server.url, wrong) as program:
        assert program.ended() == 1

    assert program.lines == []
    (complaint,) = program.complaints
    assert "password" in complaint


def test_its_types_are_right(folder: Path) -> None:
    command = [str(folder / "node_modules/.bin/tsc"), *TYPE_CHECK, EXAMPLE.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= LONGEST_EXAMPLE
