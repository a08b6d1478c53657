"""GraphiQL in a real browser: a query typed by a user, no foreign request, nothing on the error console."""

import json
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from shutil import which

import httpx
import pytest
import strawberry
import uvicorn
from graphql import OperationDefinitionNode, OperationType, parse
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL

from graphql_api.transport import graphiql_page

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EXAMPLES = sorted(graphiql_page.EXAMPLES.glob("*.graphql"))
QUERY_EDITOR = ".graphiql-query-editor"
RESULT = ".result-window"
TAB = ".graphiql-tab-button"
HEADER_EDITOR = ".graphiql-editor-tool .graphiql-editor:visible"
PATIENCE = 60.0
PATIENCE_MILLISECONDS = 60_000
BROWSER_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

expect.set_options(timeout=PATIENCE_MILLISECONDS)


@strawberry.type
class Query:
    @strawberry.field
    def greeting(self, name: str) -> str:
        return f"Hello, {name}"

    @strawberry.field
    def sent(self, info: strawberry.Info) -> list[str]:
        """The two headers the page is asked to send."""
        headers = info.context["request"].headers
        return [headers["authorization"], headers["graphql-require-preflight"]]


class Endpoint(GraphQL[None, None]):
    """Strawberry's own endpoint, which shows our page to browsers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if request is None or not graphiql_page.prefers_html(request):
            return await super().__call__(scope, receive, send)
        page = await graphiql_page.graphiql_response(request)
        return await page(scope, receive, send)


def create_application() -> Starlette:
    endpoint = Endpoint(strawberry.Schema(Query))
    return Starlette(
        routes=[
            Route("/graphql", endpoint, methods=["GET", "POST"]),
            *graphiql_page.graphiql_routes(),
        ]
    )


@pytest.fixture
def without_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(graphiql_page, "DIST", tmp_path / "dist")


@pytest.fixture(scope="module")
def build() -> Path:
    """The folder of the built page."""
    if not (graphiql_page.DIST / "index.html").is_file():
        pytest.fail("GraphiQL is not built: run `make graphiql` (npm ci && npm run build)")
    return graphiql_page.DIST


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(create_application(), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """One browser whose pages share the cache of scripts, but never what GraphiQL remembers."""
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None:
        pytest.fail("This test drives a real browser: run `apt-get install chromium`")
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(
            executable_path=chromium, args=CHROMIUM_ARGUMENTS, timeout=PATIENCE_MILLISECONDS
        )
        context = instance.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        context.add_init_script("localStorage.clear()")
        yield context
        instance.close()


@pytest.fixture
def page(browser: BrowserContext, address: str) -> Iterator[Page]:
    """A new page; fails the test on a console error, an uncaught error or a request that leaves us."""
    complaints: list[str] = []

    def note_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.type}: {message.text}")

    def note_request(request: Request) -> None:
        if not request.url.startswith((address, "data:", f"blob:{address}")):
            complaints.append(f"foreign request: {request.url}")

    page = browser.new_page()
    page.on("console", note_console)
    page.on("request", note_request)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    yield page
    page.close()
    assert complaints == []


def example_names(*kinds: OperationType) -> list[str]:
    """The operation names of the examples of these kinds (default: of all), in the order of the file names."""
    operations = [read_example(example) for example in EXAMPLES]
    return [node.name.value for node in operations if node.name and node.operation in (kinds or OperationType)]


def read_example(example: Path) -> OperationDefinitionNode:
    (operation,) = parse(example.read_text(encoding="utf-8")).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def write(page: Page, editor: str, text: str) -> None:
    """Replace what an editor holds by typing; the brackets it closes by itself are typed over."""
    page.locator(editor).locator(".view-line").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.type(text)


def write_operation(page: Page, name: str, operation: str) -> None:
    """Type an operation and wait until GraphiQL has noticed it: it then gives the tab its name."""
    write(page, QUERY_EDITOR, operation)
    expect(page.locator(TAB).first).to_have_text(name)


@pytest.mark.usefixtures("build")
def test_a_typed_query_is_checked_against_the_schema_and_shows_its_result(page: Page, address: str) -> None:
    page.goto(f"{address}/graphql")
    expect(page).to_have_title("Sales API \N{EN DASH} GraphiQL")
    write_operation(page, "Greet", "query Greet { greeting }")
    # Only the GraphQL worker, fed by introspection, can tell that an argument is missing.
    mistake = page.locator(f"{QUERY_EDITOR} .squiggly-error")
    expect(mistake).to_be_attached()
    write_operation(page, "Welcome", 'query Welcome { greeting(name: "Ada") }')
    expect(mistake).to_have_count(0)

    page.keyboard.press("Control+Enter")

    expect(page.locator(RESULT)).to_contain_text("Hello, Ada")


@pytest.mark.usefixtures("build")
def test_an_answer_that_is_no_json_is_shown_in_its_own_words(page: Page, address: str) -> None:
    page.goto(f"{address}/graphql")
    write_operation(page, "Any", "query Any { __typename }")
    page.route("**/graphql", lambda route: route.fulfill(body="Back in a minute"))

    page.keyboard.press("Control+Enter")

    expect(page.locator(RESULT)).to_contain_text("Back in a minute")


@pytest.mark.usefixtures("build")
def test_requests_carry_the_preflight_header_and_the_headers_a_user_writes(page: Page, address: str) -> None:
    page.goto(f"{address}/graphql")
    write_operation(page, "Sent", "query Sent { sent }")
    page.get_by_role("button", name="Headers", exact=True).click()
    write(page, HEADER_EDITOR, '{"Authorization": "Bearer ada"}')

    page.get_by_role("button", name="Execute query").click()

    expect(page.locator(RESULT)).to_contain_text("Bearer ada")
    expect(page.locator(RESULT)).to_contain_text('"1"')


@pytest.mark.usefixtures("build")
def test_the_examples_are_the_tabs_a_new_visitor_finds(page: Page, address: str) -> None:
    page.goto(f"{address}/graphql")

    expect(page.locator(TAB)).to_have_text(example_names())


@pytest.mark.usefixtures("build")
def test_colours_follow_the_system_while_the_page_is_open(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/graphql")
    expect(page.locator(QUERY_EDITOR).locator(".monaco-editor.vs-dark")).to_be_visible()

    page.emulate_media(color_scheme="light")

    expect(page.locator(QUERY_EDITOR).locator(".monaco-editor.vs")).to_be_visible()
    expect(page.locator(".graphiql-container")).to_have_css("background-color", "rgb(255, 255, 255)")


@pytest.mark.usefixtures("without_build")
def test_without_a_build_a_plain_console_runs_the_query(page: Page, address: str) -> None:
    page.goto(f"{address}/graphql")
    expect(page.get_by_text("make graphiql")).to_be_visible()
    page.get_by_label("Query").fill("query Greet($name: String!) { greeting(name: $name) }")
    page.get_by_label("Variables").fill('{"name": "<b>Ada</b>"}')

    page.get_by_role("button", name="Run").click()

    expect(page.locator("#result")).to_contain_text('"greeting": "Hello, <b>Ada</b>"')


@pytest.mark.usefixtures("without_build")
def test_the_plain_console_says_which_box_holds_no_json(page: Page, address: str) -> None:
    page.goto(f"{address}/graphql")
    page.get_by_label("Variables").fill("{name: Ada}")

    page.get_by_role("button", name="Run").click()

    expect(page.locator("#result")).to_contain_text("The variables are not a JSON object")


@pytest.mark.usefixtures("build")
def test_the_page_allows_only_its_own_scripts_and_is_never_framed(address: str) -> None:
    response = httpx.get(f"{address}/graphql", headers={"accept": BROWSER_ACCEPT}, timeout=PATIENCE)

    policy = response.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["vary"] == "Accept"


@pytest.mark.usefixtures("without_build")
def test_the_console_allows_only_the_script_of_this_very_answer(address: str) -> None:
    first, second = (
        httpx.get(f"{address}/graphql", headers={"accept": BROWSER_ACCEPT}, timeout=PATIENCE) for _ in range(2)
    )

    assert first.headers["content-security-policy"] != second.headers["content-security-policy"]
    assert "unsafe" not in first.headers["content-security-policy"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_assets_are_kept_for_a_year_and_compressed_on_request(address: str, build: Path, encoding: str) -> None:
    script = next((build / "assets").glob("index-*.js"))

    response = httpx.get(
        f"{address}/graphql/assets/{script.name}", headers={"accept-encoding": encoding}, timeout=PATIENCE
    )

    assert response.content == script.read_bytes()
    assert response.headers.get("content-encoding", "identity") == encoding
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["missing.js", "..%2findex.html", "%2e%2e", "a%00.js", "index.html"])
def test_other_files_are_not_served(address: str, name: str) -> None:
    response = httpx.get(f"{address}/graphql/assets/{name}", timeout=PATIENCE)

    assert response.status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BROWSER_ACCEPT, True),
        ("text/html", True),
        ("TEXT/HTML;level=1;Q=0.5", True),
        ("*/*", False),
        ("", False),
        ("application/json, text/html;q=0.9", False),
        ("application/graphql-response+json", False),
        ("text/event-stream, text/html;q=0.1", False),
        ("text/html;q=0", False),
        ("text/html;q=many", False),
    ],
)
def test_only_clients_that_prefer_html_get_the_page(accept: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of the table
    request = HttpRequest({"type": "http", "headers": [(b"accept", accept.encode())]})

    assert graphiql_page.prefers_html(request) is expected


def test_every_example_is_one_named_operation_under_a_comment() -> None:
    names = example_names()

    assert len(set(names)) == len(EXAMPLES) >= 3
    assert all(example.read_text(encoding="utf-8").startswith("# ") for example in EXAMPLES)


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((graphiql_page.SOURCES / "package-lock.json").read_text(encoding="utf-8"))
    packages = [package for path, package in lock["packages"].items() if path]

    assert all("integrity" in package and "resolved" not in package for package in packages)
