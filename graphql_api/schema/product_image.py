"""Pictures of products."""

from typing import Annotated

import strawberry

from graphql_api.schema.context import Info
from graphql_api.services.errors import BadInput
from graphql_api.services.image import ADDRESS, CONTENT_TYPE, PictureName
from graphql_api.services.policy import signed_in


@strawberry.type(description="A picture of a product. It is made anew from what was sent: upright, without metadata.")
class ProductImage:
    """A picture of a product."""

    width: int = strawberry.field(description="Pixels from left to right, at most 2,048.")
    height: int = strawberry.field(description="Pixels from top to bottom, at most 2,048.")
    content_type: str = strawberry.field(description="What its files are: `image/webp`.")
    name: strawberry.Private[PictureName]

    @classmethod
    def named(cls, key: str | None) -> "ProductImage | None":
        """The picture of this name; None without a name."""
        name = None if key is None else PictureName.parse(key)
        return None if name is None else cls(width=name.width, height=name.height, content_type=CONTENT_TYPE, name=name)

    @strawberry.field(
        description=(
            "Where to get it: a path of this server that opens without a header, as in an <img>, for at least 5 "
            "minutes and as long as you are signed in. Browsers may keep what it leads to."
        )
    )
    def url(
        self,
        info: Info,
        size: Annotated[
            int | None,
            strawberry.argument(
                description=(
                    "The longest side that you need, in pixels. You get the smallest copy that has so many (64, 256 or "
                    "1,024), or the whole picture. Default: the whole picture."
                )
            ),
        ] = None,
    ) -> str:
        """Where to get it."""
        if size is not None and size < 1:
            raise BadInput("A size has at least one pixel.", path=("size",))
        tokens = info.context.services.authentication.tokens
        ticket = tokens.steady_ticket(signed_in(info.context.viewer), ADDRESS)
        return f"/{self.name.key(self.name.variant(size))}?ticket={ticket.text}"
