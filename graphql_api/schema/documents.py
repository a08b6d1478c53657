"""Parse, limit and validate a document once; the next request with the same text finds the result."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Source,
    TokenKind,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension

from graphql_api.schema.complexity import Measurement, refusal
from graphql_api.schema.errors import parse_error, validation_error
from graphql_api.schema.one_of import OneOfVariablesRule
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.translation import Sentence

MAX_TOKENS = 5_000
MAX_COMMENTS = 1_000
MAX_CHARACTERS = 200_000
MAX_ERRORS = 20
MAX_NESTING = 60
# More than the largest filter that services take: turning variables into inputs blocks everybody else meanwhile.
MAX_VARIABLES = 12_000
CACHED_DOCUMENTS = 500
RULES = (*specified_rules, OneOfVariablesRule)
OPENING = {TokenKind.PAREN_L, TokenKind.BRACKET_L, TokenKind.BRACE_L}
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
CLOSING = {TokenKind.PAREN_R, TokenKind.BRACKET_R, TokenKind.BRACE_R}


@dataclass(frozen=True)
class Prepared:
    """A document as far as it got: errors when it cannot run.

    `is_bounded` tells that it is small enough whatever the variables say.
    """

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...] = field(default=())
    is_bounded: bool = True


Prepare = Callable[[str], Prepared]


def document_cache(schema: GraphQLSchema) -> Prepare:
    """A function that prepares documents for `schema` and remembers the latest ones."""

    @lru_cache(maxsize=CACHED_DOCUMENTS)
    def prepare(text: str) -> Prepared:
        return prepare_document(schema, text)

    return prepare


def prepare_document(schema: GraphQLSchema, text: str) -> Prepared:
    """Parse, limit and validate `text`. The limits come first: validation is slower than linear."""
    document = None
    try:
        document = _parse(text)
        _check_tokens(document)
        is_bounded = _is_bounded(schema, document)
        errors = validate(schema, document, RULES)
    except GraphQLSyntaxError as error:
        return Prepared(None, (parse_error(error),))
    except GraphQLError as error:
        return Prepared(document, (error,))
    except RecursionError:
        return Prepared(document, (refusal(TooComplex("The document nests too deeply.")),))
    return Prepared(document, tuple(validation_error(error) for error in errors[:MAX_ERRORS]), is_bounded)


def _parse(text: str) -> DocumentNode:
    if len(text) > MAX_CHARACTERS:
        raise refusal(
            TooComplex("A document has at most {limit:,} characters; pass values as variables.", limit=MAX_CHARACTERS)
        )
    return parse(Source(text), max_lexical_tokens=MAX_TOKENS, max_comments=MAX_COMMENTS)


def _check_tokens(document: DocumentNode) -> None:
    """Refuse deep nesting and texts that no database can keep."""
    nesting = 0
    token = document.loc.start_token if document.loc else None
    while token is not None:
        nesting += (token.kind in OPENING) - (token.kind in CLOSING)
        if nesting > MAX_NESTING:
            raise refusal(TooComplex("Brackets nest at most {limit} deep.", limit=MAX_NESTING))
        if token.value and "\x00" in token.value:
            raise bad_text(Sentence("a text in the document"), ())
        token = token.next


def _is_bounded(schema: GraphQLSchema, document: DocumentNode) -> bool:
    try:
        Measurement(schema, document).check()
    except GraphQLError:
        # It may pass with the values that come along; what is too large even without any is refused here.
        Measurement(schema, document, unknown_rows=0).check()
        return False
    return True


def bad_text(where: Sentence | str, path: tuple[str, ...]) -> GraphQLError:
    """The refusal of a text that holds a NUL or half a surrogate pair."""
    return refusal(
        BadInput(
            "There is a character in {where} that cannot be stored (NUL or half of a surrogate pair). Remove it.",
            path=path,
            where=where,
        )
    )


def check_variables(variables: Mapping[str, Any]) -> None:
    """Raise a GraphQLError for a text that cannot be stored, and for values too many or nested too deeply."""
    pending: list[tuple[Any, tuple[str, ...]]] = [(value, (name,)) for name, value in variables.items()]
    seen = 0
    while pending:
        value, path = pending.pop()
        seen += 1
        if seen > MAX_VARIABLES:
            raise refusal(
                TooComplex("Variables hold at most {limit:,} values together. Ask in parts.", limit=MAX_VARIABLES)
            )
        if isinstance(value, str):
            if not is_storable(value):
                raise bad_text(f"`${'.'.join(path)}`", path)
        elif len(path) > MAX_NESTING:
            raise refusal(TooComplex("Values nest at most {limit} deep.", limit=MAX_NESTING))
        elif isinstance(value, dict):
            pending.extend((item, (*path, str(name))) for name, item in value.items())
        elif isinstance(value, list):
            pending.extend((item, (*path, str(index))) for index, item in enumerate(value))


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text: no NUL, no lone surrogate."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Preparation(SchemaExtension):
    """Hands every operation the prepared document and refuses what must not run."""

    def __init__(self, prepare: Prepare) -> None:
        super().__init__()
        self.prepare = prepare
        self.prepared: Prepared | None = None

    def on_parse(self) -> Iterator[None]:
        """Take the document from the cache."""
        context = self.execution_context
        self.prepared = self.prepare(context.query or "")
        context.graphql_document = self.prepared.document or self._stand_in()
        yield

    def _stand_in(self) -> DocumentNode:
        """A document that never runs, so that what could not be parsed is reported with the other errors."""
        kind = next(iter(self.execution_context.allowed_operations)).value
        name = self.execution_context.operation_name or ""
        return parse(f"{kind} {name if NAME.fullmatch(name) else ''} {{ __typename }}")

    def on_validate(self) -> Iterator[None]:
        """Report what the preparation found, then look at the variables."""
        context = self.execution_context
        schema = context.schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        found = request_errors(schema, self.prepared, context.variables or {}) if self.prepared else []
        context.pre_execution_errors = found
        yield


def request_errors(schema: GraphQLSchema, prepared: Prepared, variables: Mapping[str, Any]) -> list[GraphQLError]:
    """Why a prepared document must not run with these variables; empty when it may."""
    if prepared.errors or prepared.document is None:
        return list(prepared.errors)
    try:
        if variables:
            check_variables(variables)
        if not prepared.is_bounded:
            Measurement(schema, prepared.document, variables).check()
    except GraphQLError as error:
        return [error]
    return []
