"""One subscription operation, executed again and again: always as if it were the first time."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from inspect import isawaitable
from typing import Annotated, Any, TypeAlias, cast

import strawberry
from graphql import ExecutionResult, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.live import EventStream
from graphql_api.schema.permissions import Policy
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.subscribing import Operation, prepare_operation
from graphql_api.services.policy import Action

CONTEXT = Context(cast("Services", None), Origin("subscribing"))
DEPTH = 3
WARM_UPS, EXECUTIONS = 5, 200


@strawberry.interface
class Thing:
    """What a selection can be about."""

    number: int

    @strawberry.field
    def label(self, times: int = 1) -> str:
        """A text, as often as asked for."""
        return f"{type(self).__name__}{self.number}" * times

    @strawberry.field
    def fragile(self) -> str | None:
        """Fails now and then."""
        return self._whole("fragile")

    @strawberry.field
    async def needed(self) -> str:
        """Fails now and then, and takes what it belongs to with it."""
        await asyncio.sleep(0)
        return self._whole("needed")

    @strawberry.field
    async def next(self) -> "Thing | None":
        """Something else, of the other kind."""
        await asyncio.sleep(0)
        return create_thing(self.number + 1)

    @strawberry.field
    def others(self) -> list["Thing | None"]:
        """Things of both kinds."""
        return [create_thing(self.number + step) for step in range(3)]

    def _whole(self, what: str) -> str:
        if self.number % 3 == 0:
            raise ValueError(f"{what} {self.number}")
        return what


@strawberry.type
class Wine(Thing):
    """One kind."""

    vintage: int

    @strawberry.field
    def partner(self) -> "Drink | None":
        """One of either kind."""
        return create_thing(self.number * 2 + 1)


@strawberry.type
class Beer(Thing):
    """The other kind."""

    strength: float

    @strawberry.field
    def partner(self) -> "Drink | None":
        """One of either kind."""
        return create_thing(self.number * 2)


Drink: TypeAlias = Annotated[Wine | Beer, strawberry.union("Drink")]


def create_thing(number: int) -> Wine | Beer:
    """A thing; every other one is a wine."""
    return Beer(number=number, strength=number / 2) if number % 2 else Wine(number=number, vintage=2000 + number)


@strawberry.type
class Query:
    """Schemas need one."""

    nothing: int = 0


@strawberry.type
class Subscription:
    """What is listened to."""

    @strawberry.subscription
    async def heard(self) -> AsyncGenerator[Thing | None, None]:
        """Things."""
        return cast("AsyncGenerator[Thing | None, None]", EventStream(frozenset(), bool, cast("Any", None)))


SCHEMA = ApiSchema(
    policy=Policy({"nothing": Action.SIGN_IN, "heard": Action.SIGN_IN}, {}, {}),
    query=Query,
    subscription=Subscription,
    types=[Wine, Beer],
)
# Fields without fields of their own, with the names that they are asked for by: one name means one thing everywhere.
LEAVES = {
    "Thing": ("__typename", "number", "two: number", "label", "twice: label(times: 2)", "many: label(times: $times)"),
    "Drink": ("__typename", "kind: __typename"),
    "Wine": ("vintage", "number", "fragile", "needed", "year: vintage"),
    "Beer": ("strength", "number", "fragile", "needed", "percent: strength"),
}
BRANCHES = {
    "Thing": (("next", "Thing"), ("others", "Thing"), ("following: next", "Thing")),
    "Drink": (),
    "Wine": (("partner", "Drink"), ("next", "Thing")),
    "Beer": (("partner", "Drink"), ("others", "Thing")),
}
NARROWER = {"Thing": ("Thing", "Wine", "Beer"), "Drink": ("Wine", "Beer"), "Wine": ("Wine", "Thing"), "Beer": ("Beer",)}
DIRECTIVES = ("", "", "", " @skip(if: $first)", " @include(if: $first)", " @include(if: $second) @skip(if: $first)")
VARIABLES = {"first": "Boolean!", "second": "Boolean!", "times": "Int!"}


class Writer:
    """Writes a document at random.

    Args:
        draw: of Hypothesis.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._fragments: list[tuple[str, str, str]] = []

    def document(self) -> str:
        """A subscription, its root field asked for once or twice, in a fragment or not."""
        once, again = (f"name: heard {self._selections('Thing', DEPTH)}" for _ in range(2))
        root = self._pick((once, f"{once} {again}", f"{once} ... on Subscription {{ {again} }}"))
        fragments = "".join(f" fragment {name} on {type_} {body}" for name, type_, body in self._fragments)
        used = [f"${name}: {type_}" for name, type_ in VARIABLES.items() if f"${name}" in root + fragments]
        spread = "".join(f" ...{name}" for name, _, _ in self._fragments)
        # each fragment is used, wherever else it was
        rest = f" name: heard {{ {spread} }}" if spread else ""
        return f"subscription {'(' + ', '.join(used) + ')' if used else ''} {{ {root}{rest} }}{fragments}"

    def _selections(self, type_: str, depth: int) -> str:
        count = self._draw(st.integers(1, 3))
        return f"{{ {' '.join(self._selection(type_, depth) for _ in range(count))} }}"

    def _selection(self, type_: str, depth: int) -> str:
        kind = self._pick(("leaf", "leaf", "branch", "branch", "inline", "spread")) if depth else "leaf"
        directive = self._pick(DIRECTIVES)
        if kind == "branch" and BRANCHES[type_]:
            name, below = self._pick(BRANCHES[type_])
            return f"{name}{directive} {self._selections(below, depth - 1)}"
        if kind == "inline":
            on = self._pick(NARROWER[type_])
            return f"... on {on}{directive} {self._selections(on, depth - 1)}"
        if kind == "spread":
            return f"...{self._fragment(self._pick(NARROWER[type_]), depth - 1)}{directive}"
        return f"{self._pick(LEAVES[type_])}{directive}"

    def _fragment(self, type_: str, depth: int) -> str:
        body = self._selections(type_, depth)
        name = f"F{len(self._fragments)}"
        self._fragments.append((name, type_, body))
        return name

    def _pick(self, choices: tuple[Any, ...]) -> Any:
        return self._draw(st.sampled_from(choices))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Valid subscriptions with fragments, aliases, directives, and fields that are asked for several times."""
    return Writer(draw).document()


def prepared(document: str, variables: dict[str, Any]) -> Operation:
    """The operation of a document, with those of the variables that it knows."""
    known = {name: value for name, value in variables.items() if f"${name}" in document}
    return prepare_operation(SCHEMA, document, known, None, CONTEXT)


async def executed_afresh(document: str, variables: dict[str, Any], value: Thing) -> ExecutionResult:
    """What graphql-core itself makes of a document that it has never seen."""
    executor = SCHEMA.execution_context_class.build(
        SCHEMA._schema,  # noqa: SLF001 - Strawberry has no public name for it
        parse(document),
        value,
        CONTEXT,
        {name: value for name, value in variables.items() if f"${name}" in document},
    )
    assert not isinstance(executor, list)
    result = executor.execute_operation(False)  # noqa: FBT003 - graphql-core's own
    return cast("ExecutionResult", await result if isawaitable(result) else result)


def shown(result: ExecutionResult) -> Any:
    """A result with its errors in an order that does not hang on who was first."""
    return result.data, sorted((error.formatted for error in result.errors or ()), key=str)


@settings(max_examples=60, deadline=None)
@given(document=documents(), times=st.lists(st.integers(0, 2), min_size=2, max_size=2), data=st.data())
def test_each_execution_of_an_operation_is_like_the_first_one_of_all(
    document: str, times: list[int], data: st.DataObject
) -> None:
    # given: one document with different variables, and things of both kinds
    choices = [{"first": data.draw(st.booleans()), "second": data.draw(st.booleans()), "times": n} for n in times]
    operations = [prepared(document, variables) for variables in choices]
    things = [create_thing(number) for number in data.draw(st.lists(st.integers(0, 7), min_size=3, max_size=6))]

    async def compare() -> None:
        # when: in turns, then all at once
        for thing in things:
            for operation, variables in zip(operations, choices, strict=True):
                result = await operation.render(thing, CONTEXT)
                # then
                assert shown(result) == shown(await executed_afresh(document, variables, thing))
        for operation, variables in zip(operations, choices, strict=True):
            results = await asyncio.gather(*(operation.render(thing, CONTEXT) for thing in things))
            fresh = [await executed_afresh(document, variables, thing) for thing in things]
            assert [shown(result) for result in results] == [shown(result) for result in fresh]

    asyncio.run(compare())


async def test_executions_leave_nothing_behind_not_even_garbage() -> None:
    # given
    document = "subscription { heard { number others { ... on Wine { partner { ... on Beer { strength } } } label } } }"
    operation = prepared(document, {})
    for number in range(WARM_UPS):
        await operation.render(create_thing(number), CONTEXT)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())

        # when
        for number in range(EXECUTIONS):
            await operation.render(create_thing(number), CONTEXT)

        # then: less than one object for each
        assert len(gc.get_objects()) - before < EXECUTIONS
    finally:
        gc.enable()
