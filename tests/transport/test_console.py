"""The plain console that stands in for GraphiQL: signing in and out, on the real application."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
import uvicorn
from playwright.sync_api import Page, expect, sync_playwright

from graphql_api.app import create_app
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.transport import graphiql_page
from tests.factories import PASSWORD, create_user
from tests.transport.test_graphiql import CHROMIUM_ARGUMENTS, PATIENCE_MILLISECONDS

EMAIL = "zoe@shop.example"


@pytest.fixture
async def account(database: Database) -> str:
    """The address of somebody who may sign in with `PASSWORD`."""
    async with database.transaction() as session:
        await create_user(session, email=EMAIL, name="Zoë", role=Role.STAFF)
    return EMAIL


@pytest.fixture
def address(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The application on a free port, without a built GraphiQL."""
    monkeypatch.setattr(graphiql_page, "DIST", tmp_path / "dist")
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(60)


@pytest.fixture
def page(account: str, address: str) -> Iterator[Page]:
    """The console in a new browser; fails the test on an uncaught error."""
    assert account
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None:
        pytest.fail("This test drives a real browser: run `apt-get install chromium`")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=CHROMIUM_ARGUMENTS, timeout=PATIENCE_MILLISECONDS
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/graphql")
        yield page
        browser.close()
    assert complaints == []


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def ask_who(page: Page) -> None:
    page.get_by_label("Query").fill("{ me { email } }")
    page.get_by_role("button", name="Run").click()


def test_it_signs_in_and_out(page: Page) -> None:
    sign_in(page, PASSWORD)
    expect(page.get_by_role("status")).to_have_text("Signed in as Zoë, STAFF.")
    expect(page.get_by_label("Password")).to_have_value("")
    ask_who(page)
    expect(page.locator("#result")).to_contain_text(EMAIL)

    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("status")).to_have_text("Not signed in.")
    ask_who(page)
    expect(page.locator("#result")).to_contain_text('"me": null')


def test_it_tells_why_somebody_cannot_sign_in(page: Page) -> None:
    sign_in(page, "something else")

    expect(page.get_by_role("status")).to_contain_text("password")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
