"""What stands around the resolvers of all subscription fields."""

from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any

from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema

from graphql_api.schema.live import EventStream, StateStream
from graphql_api.schema.viewer_identity import WatchedViewer

# The argument that says where to go on.
AFTER = "after"
# The root value of a subscription that goes on from somewhere else than its own `after` says.
RESUMED = object()

Subscribe = Callable[..., Any]


def watch_subscriptions(schema: GraphQLSchema) -> None:
    """Have each subscription field say truly whether what it answers is the viewer's alone."""
    root = schema.subscription_type
    for field in root.fields.values() if root else ():
        if field.subscribe:
            field.subscribe = _watched(field.subscribe, is_resumable=is_resumable(field))


def is_resumable(field: GraphQLField) -> bool:
    """Whether `after` of a subscription field says where to go on; beside `first` it says which page is meant."""
    return AFTER in field.args and "first" not in field.args


def _watched(subscribe: Subscribe, *, is_resumable: bool) -> Subscribe:
    async def watched(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        if source is RESUMED and is_resumable:
            arguments.pop(AFTER, None)
        context, viewer = info.context, info.context.viewer
        context.viewer = watch = WatchedViewer(viewer) if viewer else None
        try:
            answer = subscribe(None, info, **arguments)
            stream = await answer if isawaitable(answer) else answer
        finally:
            context.viewer = viewer
        if watch and watch.is_asked and isinstance(stream, EventStream | StateStream):
            return replace(stream, is_personal=True)
        return stream

    return watched
