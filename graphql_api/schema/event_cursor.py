"""Cursors of events as clients hand them in and get them."""

from graphql_api.events.cursor import BadCursor, CursorExpired, decode_cursor, encode_cursor
from graphql_api.schema.context import Context
from graphql_api.schema.scalars import Cursor
from graphql_api.services.errors import BadInput, CursorIsExpired


async def event_cursor(context: Context, number: int) -> Cursor:
    """The cursor behind event `number`."""
    return Cursor(encode_cursor(await context.services.feed.log_name(), number))


async def event_number(context: Context, cursor: str) -> int:
    """The number of the event that the cursor is behind which a client has given as `after`.

    Raises:
        BadInput: it is none of ours.
        CursorIsExpired: what follows it is no longer kept, or it belongs to another database.
    """
    head = await context.services.feed.head()
    try:
        number = decode_cursor(cursor, head.log)
    except BadCursor:
        raise BadInput(
            "This cursor is damaged. Pass one exactly as an event has given it, or leave it out.", path=("after",)
        ) from None
    except CursorExpired:
        raise expired() from None
    if not head.forgotten <= number <= head.last:
        raise expired()
    return number


def expired() -> CursorIsExpired:
    """The refusal of a cursor that lies too far back."""
    return CursorIsExpired(
        "What follows this cursor is no longer kept. Read the present state, then subscribe without `after`.",
        path=("after",),
    )
