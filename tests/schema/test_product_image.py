"""Pictures of products: set, replaced, removed, and what remains in the storage."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, text
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.schema.upload import UploadedFile
from graphql_api.services.policy import Viewer
from graphql_api.services.storage import FileStorage
from tests.client import Client
from tests.factories import create_product, create_user
from tests.pictures import drawn, encoded, noise, png
from tests.schema.edits import Statements, audit_entries, errors_of
from tests.schema.people import ClientOf, create_viewer

SET = """mutation ($input: SetProductImageInput!) { setProductImage(input: $input) {
    product { version image { width height contentType url(size: 100) } } userErrors { code message path } } }"""


@pytest.fixture
async def staff(database: Database) -> Viewer:
    """The member of staff who has created the products."""
    return await create_viewer(database, Role.STAFF)


@pytest.fixture
def editor(staff: Viewer, client_of: ClientOf) -> Client:
    """The client of whoever has created the products."""
    return client_of(staff)


async def create_own_product(database: Database, viewer: Viewer) -> str:
    """The id of a product that `viewer` may edit."""
    async with database.transaction() as session:
        row = await create_product(session)
        row.created_by = viewer.user_id
        return global_id("Product", row.id)


@pytest.fixture
async def product_id(database: Database, staff: Viewer) -> str:
    """The id of a product without a picture."""
    return await create_own_product(database, staff)


async def set_image(
    client: Client, product_id: str, version: int, content: bytes | None, filename: str = "a.png"
) -> dict[str, Any]:
    file = None if content is None else UploadedFile(filename, io.BytesIO(content))
    answer: dict[str, Any] = (
        await client.execute(SET, input={"id": product_id, "expectedVersion": version, "image": file})
    )["setProductImage"]
    return answer


def stored(folder: Path) -> dict[str, set[str]]:
    """The copies of each picture in the storage."""
    found: dict[str, set[str]] = {}
    for file in (folder / "storage").rglob("*.webp"):
        found.setdefault(file.parent.name, set()).add(file.stem)
    return found


async def image_keys(database: Database) -> list[str | None]:
    async with database.read() as session:
        return list(await session.scalars(select(col(ProductRow.image_key)).order_by(col(ProductRow.id))))


async def test_a_picture_is_set_replaced_and_removed(
    editor: Client, database: Database, product_id: str, tmp_path: Path
) -> None:
    first = await set_image(editor, product_id, 1, png(300, 200))
    (first_key,) = await image_keys(database)
    assert stored(tmp_path) == {first_key: {"64", "256", "full"}}

    second = await set_image(editor, product_id, 2, encoded(drawn(100, 50), "JPEG"))
    (second_key,) = await image_keys(database)
    assert stored(tmp_path) == {second_key: {"64", "full"}}

    removed = await set_image(editor, product_id, 3, None)
    assert stored(tmp_path) == {}

    image = first["product"]["image"]
    assert (image["width"], image["height"], image["contentType"]) == (300, 200, "image/webp")
    assert image["url"].startswith(f"/images/{first_key}/256.webp?ticket=")
    assert (second["product"]["version"], second["product"]["image"]["width"]) == (3, 100)
    assert removed["product"] == {"version": 4, "image": None}
    set_, replaced, taken = await audit_entries(database)
    assert (set_.before, set_.after) == ({"image": None}, {"image": first_key})
    assert (replaced.before, replaced.after) == ({"image": first_key}, {"image": second_key})
    assert taken.after == {"image": None}


async def test_the_same_picture_again_changes_nothing(
    editor: Client, database: Database, product_id: str, tmp_path: Path
) -> None:
    await set_image(editor, product_id, 1, png())

    again = await set_image(editor, product_id, 2, png())

    assert (again["userErrors"], again["product"]["version"]) == ([], 2)
    (key,) = await image_keys(database)
    assert set(stored(tmp_path)) == {key}


async def test_a_picture_that_another_product_shows_stays(
    editor: Client, database: Database, staff: Viewer, product_id: str, tmp_path: Path
) -> None:
    other_id = await create_own_product(database, staff)
    await set_image(editor, product_id, 1, png())
    await set_image(editor, other_id, 1, png())

    await set_image(editor, product_id, 2, None)

    _, key = await image_keys(database)
    assert set(stored(tmp_path)) == {key}


async def test_a_picture_that_comes_and_goes_at_once_is_there_when_it_is_shown(
    editor: Client, database: Database, staff: Viewer, tmp_path: Path
) -> None:
    # given one product with the picture and several that get it while the first one loses it
    ids = [await create_own_product(database, staff) for _ in range(6)]
    for turn in range(5):
        await set_image(editor, ids[0], 2 * turn + 1, png())

        # when
        version = 2 * turn + 1
        answers = await asyncio.gather(
            set_image(editor, ids[0], version + 1, None), set_image(editor, ids[turn + 1], 1, png())
        )

        # then
        assert [answer["userErrors"] for answer in answers] == [[], []]
        key = (await image_keys(database))[turn + 1]
        assert key is not None
        assert stored(tmp_path) == {key: {"64", "256", "full"}}
        await set_image(editor, ids[turn + 1], 2, None)


async def test_of_ten_pictures_for_one_version_one_is_kept(
    editor: Client, database: Database, product_id: str, tmp_path: Path
) -> None:
    pictures = [encoded(noise(70, 70, seed), "PNG") for seed in range(10)]

    answers = await asyncio.gather(*(set_image(editor, product_id, 1, picture) for picture in pictures))

    lost = [errors_of(answer) for answer in answers if answer["userErrors"]]
    assert lost == [[("CONFLICT", ["input", "expectedVersion"])]] * 9
    (key,) = await image_keys(database)
    assert stored(tmp_path) == {key: {"64", "full"}}


BAD = {
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "GIF": encoded(drawn(), "GIF"),
    "truncated": png()[:-40],
    "empty": b"",
    "an animation of another kind": encoded(drawn(), "TIFF"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_picture_is_refused_whatever_it_is_called(
    editor: Client, database: Database, product_id: str, tmp_path: Path, name: str
) -> None:
    answer = await set_image(editor, product_id, 1, BAD[name], "holiday.png")

    assert (answer["product"], errors_of(answer)) == (None, [("BAD_USER_INPUT", ["input", "image"])])
    assert (await image_keys(database), stored(tmp_path)) == ([None], {})


async def test_the_name_of_a_file_does_not_matter(editor: Client, product_id: str) -> None:
    answer = await set_image(editor, product_id, 1, encoded(drawn(), "JPEG"), "../../evil.svg")

    assert answer["userErrors"] == []


async def test_a_picture_of_more_than_5_mb_is_refused(editor: Client, product_id: str, tmp_path: Path) -> None:
    answer = await set_image(editor, product_id, 1, encoded(noise(1400, 1300), "PNG"))

    assert errors_of(answer) == [("PAYLOAD_TOO_LARGE", ["input", "image"])]
    assert stored(tmp_path) == {}


async def test_a_picture_must_be_named(editor: Client, product_id: str) -> None:
    data = await editor.execute(SET, input={"id": product_id, "expectedVersion": 1})

    assert errors_of(data["setProductImage"]) == [("BAD_USER_INPUT", ["input", "image"])]


async def test_who_did_not_create_a_product_gives_it_no_picture(
    database: Database, client_of: ClientOf, product_id: str, tmp_path: Path
) -> None:
    colleague = client_of(await create_viewer(database, Role.STAFF))
    admin = client_of(await create_viewer(database, Role.ADMIN))

    refused = await set_image(colleague, product_id, 1, png())
    done = await set_image(admin, product_id, 1, png())

    assert errors_of(refused) == [("FORBIDDEN", ["input", "id"])]
    assert done["userErrors"] == []
    assert len(stored(tmp_path)) == 1


async def test_a_refused_picture_does_not_take_the_same_one_from_another_product(
    editor: Client, database: Database, staff: Viewer, product_id: str, tmp_path: Path
) -> None:
    other_id = await create_own_product(database, staff)
    await set_image(editor, product_id, 1, png())

    refused = await set_image(editor, other_id, 7, png())

    assert errors_of(refused) == [("CONFLICT", ["input", "expectedVersion"])]
    assert list(stored(tmp_path)) == [(await image_keys(database))[0]]


async def test_a_storage_that_fails_changes_nothing(
    editor: Client, database: Database, product_id: str, tmp_path: Path
) -> None:
    # given a file where the folder of the pictures should be
    (tmp_path / "storage").mkdir(exist_ok=True)
    (tmp_path / "storage" / "images").write_text("in the way")

    # when
    response = await editor.execute_raw(
        SET, input={"id": product_id, "expectedVersion": 1, "image": UploadedFile("a.png", io.BytesIO(png()))}
    )

    # then
    assert response.codes == ["INTERNAL_SERVER_ERROR"]
    assert await image_keys(database) == [None]


async def test_a_commit_that_fails_leaves_no_picture(
    editor: Client, database: Database, product_id: str, tmp_path: Path
) -> None:
    # given a database that refuses at the last moment
    async with database.transaction() as session:
        await session.execute(
            text("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'")
        )
        await session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON product DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )

    # when
    response = await editor.execute_raw(
        SET, input={"id": product_id, "expectedVersion": 1, "image": UploadedFile("a.png", io.BytesIO(png()))}
    )

    # then
    assert response.codes == ["INTERNAL_SERVER_ERROR"]
    assert (await image_keys(database), stored(tmp_path)) == ([None], {})


async def test_products_are_found_by_having_a_picture(editor: Client, database: Database, product_id: str) -> None:
    async with database.transaction() as session:
        await create_product(session, created_by=await create_user(session))
    await set_image(editor, product_id, 1, png())

    data = await editor.execute("{ products(where: {hasImage: {eq: true}}) { nodes { id } } }")

    assert data["products"]["nodes"] == [{"id": product_id}]


@pytest.mark.parametrize("size", [0, -1])
async def test_a_size_has_a_pixel(editor: Client, product_id: str, size: int) -> None:
    await set_image(editor, product_id, 1, png())
    document = "query ($id: ID!, $size: Int) { product(id: $id) { image { url(size: $size) } } }"

    response = await editor.execute_raw(document, id=product_id, size=size)

    assert response.codes == ["BAD_USER_INPUT"]
    assert response.errors[0]["extensions"]["argumentPath"] == ["size"]


async def test_what_is_stored_can_be_seen(
    editor: Client, database: Database, storage: FileStorage, product_id: str
) -> None:
    await set_image(editor, product_id, 1, png(300, 200))

    (key,) = await image_keys(database)
    image = Image.open(io.BytesIO(await storage.read(f"images/{key}/256.webp")))

    assert (image.format, image.size) == ("WEBP", (256, 171))


async def test_a_list_of_pictures_costs_the_same_however_long(editor: Client, database: Database) -> None:
    key = f"{'0' * 32}-300x200"
    async with database.transaction() as session:
        for _ in range(20):
            (await create_product(session)).image_key = key
    statements = Statements(database)

    data = await editor.execute("{ products { nodes { name image { width url small: url(size: 64) } } } }")

    assert [node["image"]["width"] for node in data["products"]["nodes"]] == [300] * 20
    assert statements.selects == 1, statements.texts
