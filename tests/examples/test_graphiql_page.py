"""GraphiQL as a visitor meets it: the program itself, its demonstration data and a real browser."""

from collections.abc import Iterator
from shutil import which

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, expect, sync_playwright

from graphql_api.transport import graphiql_page
from tests.transport.test_graphiql import CHROMIUM_ARGUMENTS, QUERY_EDITOR, RESULT, TAB, example_names


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a new browser; fails the test on a console error or an uncaught one."""
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    if chromium is None or not (graphiql_page.DIST / "index.html").is_file():
        pytest.fail("This test needs a browser and the built page: `apt-get install chromium`, `make graphiql`")
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        page = browser.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()
    assert complaints == []


def test_each_tab_shows_demonstration_data(server_address: str, page: Page) -> None:
    # given the page of the real server
    page.goto(f"{server_address}/graphql")
    expect(page.locator(TAB)).to_have_text(example_names())
    page.wait_for_load_state("networkidle")
    for position, name in enumerate(example_names()):
        # when a tab is run
        page.locator(TAB).nth(position).click()
        expect(page.locator(QUERY_EDITOR)).to_contain_text(name)
        # The page also asks for the schema at this address; only the answer to this operation is meant.
        with page.expect_response(answers) as response:
            page.get_by_role("button", name="Execute query").click()
        # then it has rows, and the page shows them
        answer = response.value.json()
        assert "errors" not in answer, name
        assert any(rows_of(field) for field in answer["data"].values()), name
        expect(page.locator(RESULT)).to_contain_text('"data"')


def answers(response: Response) -> bool:
    """Whether this answers an operation, and not the question for the schema."""
    return response.url.endswith("/graphql") and "__schema" not in (response.request.post_data or "")


def rows_of(field: object) -> list[object]:
    """What a root field lists, itself or in `rows` or `nodes`."""
    if isinstance(field, dict):
        return list(field.get("rows") or field.get("nodes") or [])
    return list(field) if isinstance(field, list) else []
