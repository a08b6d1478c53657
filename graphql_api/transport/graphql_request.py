"""One operation as a client asks for it, read from a JSON body or from the address."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql_api.services.translation import Sentence
from graphql_api.transport.json_text import BadJson, decode_json
from graphql_api.transport.problems import RequestRefused

IDEMPOTENCY_HEADER = "idempotency-key"
IDEMPOTENCY_EXTENSION = "idempotencyKey"
# Printable ASCII: what a header can hold as it is.
IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
EXAMPLE = '{"query": "{ __typename }"}'


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A document with what it needs to run."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None

    def idempotency_key(self, headers: Sequence[str]) -> str | None:
        """What tells a repetition of this request from another one; None when it was sent without.

        Args:
            headers: the values of the header `Idempotency-Key`.

        Raises:
            RequestRefused: it is no 1 to 255 printable ASCII characters, or there are two.
        """
        extension = (self.extensions or {}).get(IDEMPOTENCY_EXTENSION)
        given = [*headers, *([] if extension is None else [extension])]
        if not all(isinstance(key, str) and IDEMPOTENCY_KEY.fullmatch(key) for key in given):
            raise RequestRefused("An idempotency key is a text of 1 to 255 printable ASCII characters, such as a UUID.")
        if len(set(given)) > 1:
            raise RequestRefused(
                "The header Idempotency-Key and `extensions.idempotencyKey` differ. Send one key, or the same twice."
            )
        return given[0] if given else None


def request_from_json(body: bytes | bytearray) -> GraphQLRequest:
    """The operation in a JSON body.

    Raises:
        RequestRefused: it is no JSON object with the right kinds of members.
    """
    if not body:
        raise RequestRefused("The body is empty. Send {example}.", example=EXAMPLE)
    return request_from_object(_decoded(body, Sentence("The body")))


def request_from_object(body: Any) -> GraphQLRequest:
    """The operation in a decoded JSON value.

    Raises:
        RequestRefused: it is no object with the right kinds of members.
    """
    if isinstance(body, list):
        raise RequestRefused("Send one operation per request; arrays of operations are not supported.")
    if not isinstance(body, dict):
        raise RequestRefused("The body must be a JSON object such as {example}.", example=EXAMPLE)
    query = body.get("query")
    if not isinstance(query, str) or not query:
        raise RequestRefused("`query` must be a text that holds a GraphQL document.")
    operation_name = body.get("operationName")
    if operation_name is not None and not isinstance(operation_name, str):
        raise RequestRefused("`operationName` must be a text or null.")
    return GraphQLRequest(query, _member(body, "variables"), operation_name or None, _member(body, "extensions"))


def request_from_address(parameters: Mapping[str, str]) -> GraphQLRequest:
    """The operation in the query string of a GET; `variables` and `extensions` are JSON there.

    Raises:
        RequestRefused: a parameter is missing or no JSON.
    """
    if not parameters.get("query"):
        raise RequestRefused("Add a GraphQL document to the address as `?query=…`, or send a POST.")
    body: dict[str, Any] = {"query": parameters["query"], "operationName": parameters.get("operationName")}
    for name in ("variables", "extensions"):
        if text := parameters.get(name):
            body[name] = _decoded(text.encode(errors="surrogatepass"), f"`{name}`")
    return request_from_object(body)


def _decoded(text: bytes | bytearray, what: Sentence | str) -> Any:
    try:
        return decode_json(text)
    except BadJson as error:
        raise RequestRefused("{what} is not JSON. {reason}", what=what, reason=error.reason) from None


def _member(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise RequestRefused("`{name}` must be a JSON object or null.", name=name)
