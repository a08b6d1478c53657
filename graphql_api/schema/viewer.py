"""Whoever asks: the account, the role, and what it allows."""

from typing import Annotated

import strawberry

from graphql_api.database.user import Role
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.invoice import Invoice
from graphql_api.schema.product import Product
from graphql_api.schema.refetch import find_node
from graphql_api.schema.user import User, load_user
from graphql_api.services.errors import BadInput, NotFound, ServiceError
from graphql_api.services.policy import OWN_ROWS, PUBLIC, Action, Forbidden, Unauthenticated, require
from graphql_api.services.translation import translate
from graphql_api.services.visibility import check_may_edit_invoice, check_may_edit_product


def _described(action: Action) -> str:
    """What the action is, and which rows it ends at for a role."""
    text = str(action.value)
    rows = [f" As {role}: {rows}." for (narrowed, role), rows in OWN_ROWS.items() if narrowed is action]
    return f"{text[0].upper()}{text[1:]}.{''.join(rows)}"


describe(Action, "What somebody can be allowed to do.", {action.name: _described(action) for action in Action})


@strawberry.type(description="Whether something is allowed.")
class Permission:
    """Whether something is allowed."""

    allowed: bool = strawberry.field(description="Whether it is.")
    reason: str | None = strawberry.field(description="One sentence for a person that says why not; null when it is.")


Asked = Annotated[Action, strawberry.argument(description="What is to be done.")]
Object = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The id of what it is to be done with, such as a product; nothing in particular."),
]


@strawberry.type(name="Viewer", description="Whoever asks. Ask this to find out which buttons to show.")
class ViewerInfo:
    """Whoever asks."""

    @strawberry.field(description="The account; null when nobody has signed in.")
    async def user(self, info: Info) -> User | None:
        """The account."""
        viewer = info.context.viewer
        return await load_user(info, viewer.user_id) if viewer else None

    @strawberry.field(description="The role; null when nobody has signed in.")
    def role(self, info: Info) -> Role | None:
        """The role."""
        viewer = info.context.viewer
        return viewer.role if viewer else None

    @strawberry.field(description="All that is allowed, perhaps only with some of the objects: `can` knows which.")
    def actions(self, info: Info) -> list[Action]:
        """All that is allowed."""
        viewer = info.context.viewer
        allowed = viewer.actions if viewer else PUBLIC
        return [action for action in Action if action in allowed]

    @strawberry.field(
        description="Whether you may do something, and why not. Example: can(action: EDIT_PRODUCT, on: $id) { allowed }"
    )
    async def can(self, info: Info, action: Asked, on: Object = None) -> Permission:
        """Whether something is allowed."""
        try:
            await _check(info.context, action, on)
        except (Unauthenticated, Forbidden, NotFound) as error:
            return Permission(allowed=False, reason=_reason(error, info.context))
        return Permission(allowed=True, reason=None)


async def _check(context: Context, action: Action, on: str | None) -> None:
    """Return when it is allowed.

    Raises:
        Unauthenticated, Forbidden: it is not.
        NotFound: the viewer sees nothing with this id.
        BadInput: the id belongs to something that this cannot be done with.
    """
    require(context.viewer, action)
    if on is None:
        return
    node = await find_node(context, on, "on")
    if node is None:
        raise NotFound("Nothing with this id was found.")
    if action is Action.EDIT_PRODUCT:
        if not isinstance(node, Product):
            raise BadInput("Pass the id of a product.", path=("on",))
        check_may_edit_product(context.viewer, node.created_by_id)
    if action is Action.WRITE_INVOICES:
        if not isinstance(node, Invoice):
            raise BadInput("Pass the id of an invoice.", path=("on",))
        check_may_edit_invoice(context.viewer, node.created_by_id)


def _reason(error: ServiceError, context: Context) -> str:
    """Why not, in the viewer's language; a token that was not taken is why nobody has signed in."""
    if isinstance(error, Unauthenticated):
        error = context.sign_in_problem or error
    return translate(error, context.origin.language)


@strawberry.type
class ViewerQuery:
    """Root field of whoever asks."""

    @strawberry.field(description="Whoever asks, also somebody who has not signed in.")
    def viewer(self) -> ViewerInfo:
        """Whoever asks."""
        return ViewerInfo()
