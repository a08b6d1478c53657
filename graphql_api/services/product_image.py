"""Pictures of products: set in the transaction of the product, removed once no product shows them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.services.editing import change_row
from graphql_api.services.image import Picture, PictureName
from graphql_api.services.policy import Viewer
from graphql_api.services.product_change import PRODUCT, locked_product
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import UnitOfWork

logger = logging.getLogger(__name__)

# First key of the two-part advisory lock on a picture; the second is a hash of its name.
PICTURE_LOCK = 7_304
LOCK_PICTURE = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:name))")
IS_SHOWN = text("SELECT EXISTS (SELECT FROM product WHERE image_key = :name)")


@dataclass(frozen=True)
class ImageChange:
    """What became of a product, and the name of the picture that it shows no more."""

    row: ProductRow
    replaced: str | None


async def set_image(  # noqa: PLR0913, PLR0917 - the parts of the input, and where to
    work: UnitOfWork,
    storage: FileStorage,
    product_id: int,
    expected_version: int,
    picture: Picture | None,
    viewer: Viewer,
) -> ImageChange:
    """Give a product another picture, or with None none.

    Raises:
        NotFound, Forbidden, Conflict: as `update_product` does.
    """
    row = await locked_product(work.session, product_id, expected_version, viewer)
    before, after = row.image_key, None if picture is None else str(picture.name)
    if picture is not None and before != after:
        await _store(work.session, storage, picture)
    await change_row(work, PRODUCT, row, {"image": after})
    return ImageChange(row, None if before == after else before)


async def _store(session: AsyncSession, storage: FileStorage, picture: Picture) -> None:
    """Write all copies. Until the transaction ends nobody removes them as unused."""
    await _lock(session, str(picture.name))
    for variant, content in picture.files.items():
        await storage.put(picture.name.key(variant), content)


async def remove_unused_images(database: Database, storage: FileStorage, names: Iterable[str]) -> None:
    """Remove those of these pictures that no product shows any more; what cannot be removed is logged and stays."""
    for name in names:
        try:
            await _remove_unused(database, storage, name)
        except Exception:
            logger.exception("The picture %s could not be removed", name)


async def _remove_unused(database: Database, storage: FileStorage, name: str) -> None:
    picture = PictureName.parse(name)
    if picture is None:
        return
    async with database.transaction() as session:
        await _lock(session, name)
        if await session.scalar(IS_SHOWN, {"name": name}):
            return
        for variant in picture.variants:
            await storage.delete(picture.key(variant))


async def _lock(session: AsyncSession, name: str) -> None:
    await session.execute(LOCK_PICTURE, {"lock": PICTURE_LOCK, "name": name})
