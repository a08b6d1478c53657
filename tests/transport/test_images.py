"""Pictures over HTTP: sent as a form, shown by an address."""

import io
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from PIL import Image

from graphql_api.config import Settings
from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.factories import create_product
from tests.pictures import drawn, encoded, noise, png
from tests.transport.conftest import authorization, create_viewer

SET = """mutation ($input: SetProductImageInput!) { setProductImage(input: $input) {
    product { image { full: url small: url(size: 64) } } userErrors { code path } } }"""
PREFLIGHT = {"graphql-require-preflight": "1"}


async def create_product_id(database: Database) -> str:
    async with database.transaction() as session:
        return global_id("Product", (await create_product(session)).id)


async def send(
    http: httpx.AsyncClient, product_id: str, content: bytes | None, filename: str = "a.png", kind: str = "image/png"
) -> httpx.Response:
    wish = {"id": product_id, "expectedVersion": 1, "image": None}
    operations = json.dumps({"query": SET, "variables": {"input": wish}})
    if content is None:
        return await http.post("/graphql", json=json.loads(operations))
    form = {"operations": operations, "map": '{"0": ["variables.input.image"]}'}
    files = {"0": (filename, content, kind)}
    return await http.post("/graphql", data=form, files=files, headers=PREFLIGHT)


async def sent(http: httpx.AsyncClient, database: Database, content: bytes) -> dict[str, str]:
    """The addresses of a new picture."""
    response = await send(http, await create_product_id(database), content)
    payload: dict[str, Any] = response.json()["data"]["setProductImage"]
    assert payload["userErrors"] == []
    image: dict[str, str] = payload["product"]["image"]
    return image


def refusal(response: httpx.Response) -> tuple[int, str]:
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


async def test_a_picture_goes_in_as_a_form_and_comes_out_by_its_address(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    # given
    image = await sent(http, database, png(300, 200))

    # when a browser shows it, which sends no header
    full, small = await stranger.get(image["full"]), await stranger.get(image["small"])

    # then
    assert [Image.open(io.BytesIO(answer.content)).size for answer in (full, small)] == [(300, 200), (64, 43)]
    for answer in (full, small):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert full.headers["etag"] != small.headers["etag"]


async def test_who_has_a_picture_already_gets_none(http: httpx.AsyncClient, database: Database) -> None:
    address = (await sent(http, database, png()))["full"]
    etag = (await http.get(address)).headers["etag"]

    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await http.get(address, headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag), known
    assert (await http.get(address, headers={"if-none-match": '"x"'})).status_code == 200


async def test_the_header_opens_a_picture_too_for_every_role(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    address = (await sent(http, database, png()))["full"].partition("?")[0]

    for role in Role:
        header = authorization(settings, await create_viewer(database, role))
        assert (await stranger.get(address, headers=header)).status_code == 200
    assert refusal(await stranger.get(address)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("ticket", ["", "nonsense", "a.b.c"])
async def test_a_bad_ticket_opens_nothing(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, ticket: str
) -> None:
    address = (await sent(http, database, png()))["full"].partition("?")[0]

    answer = await stranger.get(address, params={"ticket": ticket}, headers={"if-none-match": "*"})

    assert refusal(answer) == (401, "UNAUTHENTICATED")


async def test_a_ticket_ends_with_its_time_and_with_its_session(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    before = now_utc()
    address = (await sent(http, database, png()))["full"]

    with time_machine.travel(before + timedelta(minutes=4, seconds=50), tick=False):
        assert (await stranger.get(address)).status_code == 200
    with time_machine.travel(now_utc() + timedelta(minutes=11), tick=False):
        assert refusal(await stranger.get(address)) == (401, "UNAUTHENTICATED")
    await http.post("/graphql", json={"query": "mutation { logout { endedCount } }"})
    assert refusal(await stranger.get(address)) == (401, "UNAUTHENTICATED")


async def test_a_ticket_for_pictures_opens_nothing_else(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    ticket = (await sent(http, database, png()))["full"].partition("?ticket=")[2]

    answer = await stranger.get("/imports/1/rejects.csv", params={"ticket": ticket})

    assert refusal(answer) == (401, "UNAUTHENTICATED")


async def test_an_address_stays_the_same_for_a_while_so_that_browsers_can_keep_the_picture(
    http: httpx.AsyncClient, database: Database
) -> None:
    await sent(http, database, png())
    ask = {"query": "{ products { nodes { image { url } } } }"}

    async def address() -> str:
        answer = await http.post("/graphql", json=ask)
        return str(answer.json()["data"]["products"]["nodes"][0]["image"]["url"])

    now = now_utc()
    begin = now - timedelta(minutes=now.minute % 5 - 5, seconds=now.second - 1)
    with time_machine.travel(begin, tick=False) as clock:
        first = await address()
        clock.shift(250)
        second = await address()
        clock.shift(100)
        third = await address()

    assert first == second
    assert first.partition("?")[0] == third.partition("?")[0]
    assert first != third


@pytest.mark.parametrize(
    "path",
    [
        "x/full.webp",
        f"{'0' * 32}-10x10/full.webp",
        f"{'0' * 32}-10x10/64.webp",
        f"{'0' * 32}-2000x10/128.webp",
        f"{'0' * 32}-2000x10/full.png",
        "..%2F..%2Fetc/passwd.webp",
        "%2e%2e/full.webp",
    ],
)
async def test_an_unknown_picture_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    assert refusal(await http.get(f"/images/{path}")) == (404, "NOT_FOUND")


async def test_a_picture_that_was_removed_is_gone(http: httpx.AsyncClient, database: Database) -> None:
    product_id = await create_product_id(database)
    payload = (await send(http, product_id, png())).json()["data"]["setProductImage"]
    address = payload["product"]["image"]["full"]

    wish = {"id": product_id, "expectedVersion": 2, "image": None}
    await http.post("/graphql", json={"query": SET, "variables": {"input": wish}})

    assert refusal(await http.get(address)) == (404, "NOT_FOUND")


HOSTILE = {
    "an SVG called a PNG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a.png", "image/png"),
    "a page called a JPEG": (b"<html><script>alert(1)</script></html>", "a.jpg", "image/jpeg"),
    "a truncated picture": (png()[:100], "a.png", "image/png"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_picture_is_refused(http: httpx.AsyncClient, database: Database, name: str) -> None:
    response = await send(http, await create_product_id(database), *HOSTILE[name])

    (error,) = response.json()["data"]["setProductImage"]["userErrors"]
    assert (error["code"], error["path"]) == ("BAD_USER_INPUT", ["input", "image"])


async def test_a_picture_with_a_second_meaning_is_served_without_it(
    http: httpx.AsyncClient, database: Database
) -> None:
    script = b"<script>alert(document.domain)</script>"
    response = await send(http, await create_product_id(database), png() + script, "a.html", "text/html")
    address = response.json()["data"]["setProductImage"]["product"]["image"]["full"]

    answer = await http.get(address)

    assert answer.headers["content-type"] == "image/webp"
    assert script not in answer.content


@pytest.mark.parametrize("role", [Role.SALESPERSON, Role.CUSTOMER])
async def test_who_may_not_edit_products_sends_no_picture(
    stranger: httpx.AsyncClient, settings: Settings, database: Database, role: Role
) -> None:
    product_id = await create_product_id(database)
    stranger.headers.update(authorization(settings, await create_viewer(database, role)))

    response = await send(stranger, product_id, encoded(noise(100, 100), "PNG"))

    assert refusal(response) == (403, "FORBIDDEN")


async def test_nobody_sends_no_picture(stranger: httpx.AsyncClient, database: Database) -> None:
    assert refusal(await send(stranger, await create_product_id(database), png())) == (401, "UNAUTHENTICATED")


async def test_null_as_plain_json_removes_the_picture(http: httpx.AsyncClient, database: Database) -> None:
    response = await send(http, await create_product_id(database), None)

    assert response.json()["data"]["setProductImage"] == {"product": {"image": None}, "userErrors": []}


async def test_a_jpeg_from_a_telephone_is_shown_upright(http: httpx.AsyncClient, database: Database) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    address = (await sent(http, database, encoded(drawn(300, 200), "JPEG", exif=exif)))["full"]

    answer = await http.get(address)

    assert Image.open(io.BytesIO(answer.content)).size == (200, 300)
