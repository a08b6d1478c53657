"""GraphiQL as a visitor meets it: the program itself, its demonstration data and a real browser."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from shutil import which
from typing import Any

import httpx
import jwt
import pytest
import time_machine
from graphql import OperationType
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
    WebSocket,
    expect,
    sync_playwright,
)

from graphql_api.database.base import now_utc
from graphql_api.database.user import Role
from graphql_api.services.key_file import OwnKeys
from graphql_api.services.policy import Viewer
from graphql_api.services.token import AccessTokens
from graphql_api.transport import graphiql_page
from tests.examples.conftest import PATIENCE_SECONDS, DemoServer
from tests.transport.test_graphiql import CHROMIUM_ARGUMENTS, QUERY_EDITOR, RESULT, TAB, example_names

PATIENCE_MILLISECONDS = PATIENCE_SECONDS * 1_000
STORED = "sessionStorage.getItem('sales-api-session')"
# What one tab tells its copies when it has other tokens.
TELL = "session => new BroadcastChannel('sales-api-session').postMessage({used: session.refreshToken, session})"
SIGNED_OUT = "Not signed in"
ADMIN = "admin@demo.example"
LEVEL = """
{ stockLevels(where: {city: {eq: "Tallgrass"}}, first: 1) { nodes { store { id } product { id } } } }
"""
ADJUST = "mutation ($input: AdjustStockInput!) { adjustStock(input: $input) { userErrors { code } } }"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None or not (graphiql_page.DIST / "index.html").is_file():
        pytest.fail("This test needs a browser and the built page: `apt-get install chromium`, `make graphiql`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=CHROMIUM_ARGUMENTS, timeout=PATIENCE_MILLISECONDS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """Somebody who has been here before, so that the page need not be loaded anew each time."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    # what tabs were open is kept for the next page; a session is kept by its tab alone
    context.add_init_script("if (location.protocol === 'http:') localStorage.clear()")
    yield context
    context.close()


@pytest.fixture
def browser(visitor: BrowserContext) -> Iterator[BrowserContext]:
    """A browser without a page; fails the test on a console error or an uncaught one."""
    with without_complaints(visitor):
        yield visitor
        for page in visitor.pages:
            page.close()


@contextmanager
def without_complaints(context: BrowserContext) -> Iterator[None]:
    """Fails on a console error or an uncaught one."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def note_uncaught(error: WebError) -> None:
        complaints.append(str(error.error))

    context.on("console", note)
    context.on("weberror", note_uncaught)
    yield
    context.remove_listener("console", note)
    context.remove_listener("weberror", note_uncaught)
    assert complaints == []


@pytest.fixture
def page(browser: BrowserContext, server_address: str) -> Page:
    """The page of the real server."""
    page = browser.new_page()
    open_page(page, server_address)
    return page


def open_page(page: Page, address: str) -> None:
    # the first thing the page asks for, signed in or not
    with page.expect_response(lambda response: "__schema" in (response.request.post_data or "")):
        page.goto(f"{address}/graphql")
    expect(page.locator(TAB)).to_have_text(example_names())
    # before the editor shows the operation there is nothing to execute
    expect(page.locator(QUERY_EDITOR)).to_contain_text("{")


def sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_in_as(page: Page, server: DemoServer, email: str) -> None:
    sign_in(page, email, server.passwords[email])
    expect(page.get_by_role("status")).to_contain_text(f"({email})")


def run_operation(page: Page) -> Response:
    """Execute what the editor holds; the answer to it, and not to the question for the schema."""
    with page.expect_response(answers) as response:
        page.get_by_role("button", name="Execute query").click()
    return response.value


def answers(response: Response) -> bool:
    """Whether this answers an operation of the editor."""
    sent = response.request.post_data or ""
    return response.url.endswith("/graphql") and not any(
        name in sent for name in ("__schema", "SignIn", "SignOut", "Renew")
    )


def rows_of(field: object) -> list[object]:
    """What a root field lists, itself or in `rows` or `nodes`."""
    if isinstance(field, dict):
        return list(field.get("rows") or field.get("nodes") or [])
    return list(field) if isinstance(field, list) else []


def renewals(page: Page) -> list[Request]:
    """Every exchange of a refresh token from now on."""
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if "Renew" in (request.post_data or "") else None)
    return seen


def test_each_tab_shows_demonstration_data(demo_server: DemoServer, page: Page) -> None:
    # given an administrator who signs in by the keyboard alone
    email = "admin@demo.example"
    page.get_by_label("E-mail").focus()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(demo_server.passwords[email])
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"Signed in as Ada Lindqvist ({email}), ADMIN")
    expect(page.get_by_role("button", name="Sign out")).to_be_focused()
    for position, name in enumerate(example_names(OperationType.QUERY)):
        # when a tab is run
        page.locator(TAB).nth(position).click()
        expect(page.locator(QUERY_EDITOR)).to_contain_text(name)
        answer = run_operation(page).json()
        # then it has rows, and the page shows them
        assert "errors" not in answer, name
        assert any(rows_of(field) for field in answer["data"].values()), name
        expect(page.locator(RESULT)).to_contain_text('"data"')


def test_before_and_after_a_session_requests_are_refused(demo_server: DemoServer, page: Page) -> None:
    # given nobody, when something is asked, then the answer says what to do
    expect(page.get_by_role("status")).to_contain_text(SIGNED_OUT)
    run_operation(page)
    expect(page.locator(RESULT)).to_contain_text("UNAUTHENTICATED")
    # given somebody who signs in and out
    sign_in_as(page, demo_server, "sales@demo.example")
    token = json.loads(page.evaluate(STORED))["accessToken"]
    assert "errors" not in run_operation(page).json()
    with page.expect_response(lambda response: "SignOut" in (response.request.post_data or "")):
        page.get_by_role("button", name="Sign out").click()
    # then all is as before, nothing is kept, and the token is worthless
    expect(page.get_by_label("E-mail")).to_be_focused()
    assert page.evaluate(STORED) is None
    assert token not in page.evaluate("JSON.stringify(localStorage)")
    run_operation(page)
    expect(page.locator(RESULT)).to_contain_text("UNAUTHENTICATED")
    assert (
        "UNAUTHENTICATED"
        in httpx.post(
            f"{demo_server.address}/graphql",
            json={"query": "{ me { id } }"},
            headers={"authorization": f"Bearer {token}"},
            timeout=PATIENCE_SECONDS,
        ).text
    )


def test_a_wrong_password_is_told_in_words(page: Page) -> None:
    sign_in(page, "sales@demo.example", "something else")

    expect(page.get_by_role("status")).to_contain_text("password")
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    expect(page.get_by_label("Password")).to_be_focused()
    assert page.evaluate(STORED) is None


def test_a_session_lasts_over_a_reload_but_not_into_another_tab(
    demo_server: DemoServer, browser: BrowserContext, page: Page
) -> None:
    sign_in_as(page, demo_server, "customer@demo.example")

    page.reload()
    other = browser.new_page()
    open_page(other, demo_server.address)

    expect(page.get_by_role("status")).to_contain_text("customer@demo.example")
    expect(other.get_by_role("status")).to_contain_text(SIGNED_OUT)


def earlier_token(server: DemoServer, access_token: str, ago: timedelta = timedelta(hours=1)) -> str:
    """A token of the same session as the server would have made it so long ago."""
    claims = jwt.decode(access_token, options={"verify_signature": False})
    viewer = Viewer(int(claims["sub"]), Role.STAFF, int(claims["sid"]))
    with time_machine.travel(now_utc() - ago, tick=True):
        return AccessTokens(OwnKeys(server.folder)).issue(viewer, lifetime_minutes=15).text


def put_token(page: Page, token: str) -> None:
    """Have the page go on with this access token at once, as if it were good for long."""
    session = json.loads(page.evaluate(STORED))
    page.evaluate(TELL, {**session, "accessToken": token})
    page.wait_for_function(f"token => JSON.parse({STORED}).accessToken === token", arg=token)


@pytest.mark.parametrize("is_noticed", [False, True])
def test_an_expired_token_is_renewed_once_for_all_requests(
    demo_server: DemoServer,
    page: Page,
    is_noticed: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    # given a session whose access token has expired, whether the page can tell or only the server
    sign_in_as(page, demo_server, "staff@demo.example")
    session = json.loads(page.evaluate(STORED))
    session["accessToken"] = earlier_token(demo_server, session["accessToken"])
    session["renewAt"] = 0 if is_noticed else session["renewAt"]
    page.evaluate("session => sessionStorage.setItem('sales-api-session', session)", json.dumps(session))
    seen = renewals(page)
    page.reload()
    expect(page.locator(TAB)).to_have_text(example_names())
    expect(page.locator(QUERY_EDITOR)).to_contain_text("{")
    # when something is asked, beside the schema that the page asks for
    page.get_by_role("button", name="Execute query").click()
    # then the answer comes, after one exchange of the refresh token
    expect(page.locator(RESULT)).to_contain_text('"data"')
    expect(page.locator(RESULT)).not_to_contain_text("UNAUTHENTICATED")
    assert len(seen) == 1
    renewed = json.loads(page.evaluate(STORED))
    assert renewed["accessToken"] != session["accessToken"]
    assert renewed["refreshToken"] != session["refreshToken"]


def test_a_session_that_was_ended_elsewhere_ends_here(demo_server: DemoServer, page: Page) -> None:
    email = "sales@demo.example"
    sign_in_as(page, demo_server, email)
    token = demo_server.sign_in(email)
    demo_server.execute("mutation { logoutEverywhere { endedCount } }", authorization=f"Bearer {token}")

    page.get_by_role("button", name="Execute query").click()

    expect(page.get_by_role("status")).to_contain_text("Your session has ended")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator(RESULT)).to_contain_text("UNAUTHENTICATED")


def test_a_copy_of_a_tab_follows_its_renewals(demo_server: DemoServer, browser: BrowserContext, page: Page) -> None:
    # given two tabs with one session, as the browser's "duplicate tab" makes them
    sign_in_as(page, demo_server, "customer@demo.example")
    session = page.evaluate(STORED)
    copy = browser.new_page()
    open_page(copy, demo_server.address)
    copy.evaluate("session => sessionStorage.setItem('sales-api-session', session)", session)
    copy.reload()
    expect(copy.get_by_role("status")).to_contain_text("customer@demo.example")
    # when one of them renews it
    page.evaluate("session => sessionStorage.setItem('sales-api-session', session)", overdue(session))
    page.reload()
    page.wait_for_function(f"session => {STORED} !== session", arg=overdue(session))
    # then the other one has the new tokens
    copy.wait_for_function(f"session => {STORED} === session", arg=page.evaluate(STORED))


def test_a_session_ends_at_the_server_also_when_its_token_has_expired(
    demo_server: DemoServer, chromium: Browser
) -> None:
    with chromium.new_context() as context, without_complaints(context):
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        page = context.new_page()
        open_page(page, demo_server.address)
        leave_after_an_hour(demo_server, page)


def leave_after_an_hour(demo_server: DemoServer, page: Page) -> None:
    # given a tab that was left open, by the clock of a browser of its own
    sign_in_as(page, demo_server, "customer@demo.example")
    refresh_token = json.loads(page.evaluate(STORED))["refreshToken"]
    seen = renewals(page)
    page.clock.set_fixed_time(now_utc() + timedelta(hours=1))
    # when its user signs out
    with page.expect_response(lambda response: "SignOut" in (response.request.post_data or "")) as answer:
        page.get_by_role("button", name="Sign out").click()
    # then that is done with a token that is good, and nothing is left of the session
    assert answer.value.json() == {"data": {"logout": {"userErrors": []}}}
    assert len(seen) == 1
    renew = "mutation ($token: String!) { refreshToken(input: {refreshToken: $token}) { userErrors { code } } }"
    reply = httpx.post(
        f"{demo_server.address}/graphql",
        json={"query": renew, "variables": {"token": refresh_token}},
        timeout=PATIENCE_SECONDS,
    ).json()
    assert reply["data"]["refreshToken"]["userErrors"] == [{"code": "UNAUTHENTICATED"}]


def overdue(session: str) -> str:
    return json.dumps({**json.loads(session), "renewAt": 0})


@dataclass
class Changes:
    """The stock of a store in Tallgrass, which can be changed."""

    server: DemoServer
    token: str
    level: dict[str, Any]

    def add(self, bottles: int) -> None:
        ids = {"storeId": self.level["store"]["id"], "productId": self.level["product"]["id"]}
        variables = {"input": {**ids, "quantity": bottles, "reason": "GraphiQL", "unitCost": "5.00"}}
        answer = self.server.execute(ADJUST, variables, authorization=f"Bearer {self.token}")
        assert answer["adjustStock"]["userErrors"] == []


@pytest.fixture(scope="module")
def changes(demo_server: DemoServer) -> Changes:
    """Changes by the administrator, who listens in these tests, and may sign in ten times in ten minutes."""
    token = demo_server.sign_in(ADMIN)
    (level,) = demo_server.execute(LEVEL, authorization=f"Bearer {token}")["stockLevels"]["nodes"]
    return Changes(demo_server, token, level)


@dataclass
class Sockets:
    """The WebSockets of a page: what it has said on them, what it was told, and how many are open."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def note(self, socket: WebSocket) -> None:
        self.opened += 1
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self.heard.append(json.loads(frame)))
        socket.on("close", self._note_close)

    def _note_close(self, _socket: WebSocket) -> None:
        self.closed += 1


@pytest.fixture
def sockets(page: Page) -> Sockets:
    sockets = Sockets()
    page.on("websocket", sockets.note)
    return sockets


def until(page: Page, is_so: Callable[[], object]) -> None:
    """Let the page go on until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def choose_subscription(page: Page) -> None:
    """Show the example that subscribes."""
    (name,) = example_names(OperationType.SUBSCRIPTION)
    page.locator(TAB).filter(has_text=name).click()
    expect(page.locator(QUERY_EDITOR)).to_contain_text(name)


def listen(page: Page, sockets: Sockets) -> None:
    """Run the example that subscribes, and wait until it has been asked for."""
    choose_subscription(page)
    page.get_by_role("button", name="Execute query").click()
    until(page, lambda: any(message["type"] == "subscribe" for message in sockets.sent))


def hear(page: Page, changes: Changes, bottles: int) -> None:
    """Change stock until the page shows it: that it was asked for does not mean that it has begun."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    shown = page.locator(RESULT).get_by_text(f'"delta": {bottles}')
    while not shown.is_visible():
        assert time.monotonic() < deadline
        changes.add(bottles)
        page.wait_for_timeout(200)


def test_a_change_made_meanwhile_appears_until_it_is_stopped(
    demo_server: DemoServer, page: Page, sockets: Sockets, changes: Changes
) -> None:
    # given somebody who listens
    sign_in_as(page, demo_server, ADMIN)
    listen(page, sockets)
    # when stock changes, then the page shows it, each time the latest
    for bottles in (7, 8, 9):
        hear(page, changes, bottles)
    assert "Bearer" not in page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name).join()")
    # when it is stopped, then nothing stays open, and nothing more comes
    page.get_by_role("button", name="Stop query").click()
    until(page, lambda: sockets.closed == sockets.opened == 1)
    changes.add(10)
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    expect(page.locator(RESULT)).to_contain_text('"delta": 9')


@pytest.mark.parametrize(
    ("email", "code"), [(None, "UNAUTHENTICATED"), ("customer@demo.example", "FORBIDDEN")], ids=["nobody", "customer"]
)
def test_a_refused_subscription_is_shown_as_any_other_answer(
    demo_server: DemoServer, page: Page, sockets: Sockets, email: str | None, code: str
) -> None:
    if email:
        sign_in_as(page, demo_server, email)

    listen(page, sockets)

    expect(page.locator(RESULT)).to_contain_text(code)
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    until(page, lambda: sockets.closed == sockets.opened == 1)


def test_the_token_is_renewed_on_the_connection_that_it_is_for(
    demo_server: DemoServer, page: Page, sockets: Sockets, changes: Changes
) -> None:
    # given a session whose token has less than a minute left, which the page does not know, and needs at once
    sign_in_as(page, demo_server, ADMIN)
    token = json.loads(page.evaluate(STORED))["accessToken"]
    seen = renewals(page)
    choose_subscription(page)
    put_token(page, earlier_token(demo_server, token, timedelta(minutes=14, seconds=2)))
    # when it listens, and the server says so
    page.get_by_role("button", name="Execute query").click()
    until(page, lambda: any((message.get("payload") or {}).get("type") == "AuthRenewed" for message in sockets.heard))
    # then it has handed in another token, and goes on
    hear(page, changes, 11)
    assert sockets.opened == 1
    assert sockets.closed == 0
    assert len(seen) == 1


def test_a_connection_with_an_expired_token_is_opened_again_with_a_new_one(
    demo_server: DemoServer, page: Page, sockets: Sockets, changes: Changes
) -> None:
    sign_in_as(page, demo_server, ADMIN)
    put_token(page, earlier_token(demo_server, json.loads(page.evaluate(STORED))["accessToken"]))

    listen(page, sockets)

    hear(page, changes, 12)
    until(page, lambda: (sockets.opened, sockets.closed) == (2, 1))


def test_who_signs_out_hears_nothing_more(
    demo_server: DemoServer, page: Page, sockets: Sockets, changes: Changes
) -> None:
    sign_in_as(page, demo_server, ADMIN)
    listen(page, sockets)
    hear(page, changes, 13)

    page.get_by_role("button", name="Sign out").click()

    expect(page.locator(RESULT)).to_contain_text("UNAUTHENTICATED")
    until(page, lambda: sockets.closed == sockets.opened)
