"""The storage and the products agree, whatever happens at the same time."""

import asyncio
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.audit import Act
from graphql_api.services.image import FULL, Picture, make_picture
from graphql_api.services.policy import Viewer
from graphql_api.services.product_image import remove_unused_images, set_image
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import create_product, create_session, create_user
from tests.pictures import png

LONG_ENOUGH = 0.3


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    """A folder of this test's own."""
    return FileStorage(str(tmp_path))


@pytest.fixture
def picture() -> Picture:
    """A picture."""
    return make_picture(png())


async def create_case(database: Database) -> tuple[int, Viewer]:
    """A product, and an administrator."""
    async with database.transaction() as session:
        user = await create_user(session)
        viewer = Viewer(user.id, Role.ADMIN, (await create_session(session, user)).id)
        return (await create_product(session)).id, viewer


async def test_a_picture_that_is_just_being_set_is_not_removed(
    database: Database, storage: FileStorage, picture: Picture
) -> None:
    # given a transaction that has stored a picture and not ended
    product_id, viewer = await create_case(database)
    async with unit_of_work(database, Act("setProductImage", viewer)) as work:
        await set_image(work, storage, product_id, 1, picture, viewer)

        # when somebody else finds that no product shows it
        removal = asyncio.create_task(remove_unused_images(database, storage, [str(picture.name)]))
        done, _ = await asyncio.wait({removal}, timeout=LONG_ENOUGH)
        assert not done

    # then it waits, and finds that one does
    await removal
    assert await storage.read(picture.name.key(FULL)) == picture.files[FULL]


async def test_a_picture_that_is_just_being_removed_is_stored_again(
    database: Database, storage: FileStorage, picture: Picture
) -> None:
    product_id, viewer = await create_case(database)
    for variant, content in picture.files.items():
        await storage.put(picture.name.key(variant), content)

    async def show() -> None:
        async with unit_of_work(database, Act("setProductImage", viewer)) as work:
            await set_image(work, storage, product_id, 1, picture, viewer)

    await asyncio.gather(remove_unused_images(database, storage, [str(picture.name)]), show())

    assert await storage.read(picture.name.key(FULL)) == picture.files[FULL]


async def test_what_has_no_such_name_is_left_alone(
    database: Database, storage: FileStorage, caplog: pytest.LogCaptureFixture
) -> None:
    await storage.put("imports/x", b"rows")

    await remove_unused_images(database, storage, ["../imports/x", "imports/x", ""])

    assert (await storage.read("imports/x"), caplog.records) == (b"rows", [])


async def test_a_storage_that_fails_is_told_and_stops_nobody(
    database: Database, storage: FileStorage, picture: Picture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given a folder where the file should be, which cannot be removed as a file
    (tmp_path / picture.name.key(FULL) / "in the way").mkdir(parents=True)

    await remove_unused_images(database, storage, [str(picture.name)])

    (record,) = caplog.records
    assert str(picture.name) in record.message
