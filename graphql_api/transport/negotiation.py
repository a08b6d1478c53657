"""Which media type an answer gets, and what that type says about the status."""

from collections.abc import Iterator
from functools import lru_cache

from graphql_api.transport.problems import JSON

GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
ACCEPTED = {
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
    GRAPHQL_JSON: GRAPHQL_JSON,
    EVENT_STREAM: EVENT_STREAM,
}
ANY_TEXT = "text/*"


@lru_cache(maxsize=256)
def answer_type(accept: str) -> str:
    """The media type for an Accept header; the one named first wins among equals, and JSON when nothing fits."""
    best, best_quality = JSON, 0.0
    for name, quality in _ranges(accept):
        if name in ACCEPTED and quality > best_quality:
            best, best_quality = ACCEPTED[name], quality
    return best


@lru_cache(maxsize=256)
def accepts_event_stream(accept: str) -> bool:
    """Whether whoever sends this Accept header can read an answer that goes on as events come, wanted most or not.

    To take */* is not enough: programs send it that wait for an answer to end.
    """
    qualities = dict(_ranges(accept))
    return qualities.get(EVENT_STREAM, qualities.get(ANY_TEXT, 0.0)) > 0


@lru_cache(maxsize=256)
def content_type(header: str) -> tuple[str, str]:
    """The media type of a body and its charset, in lower case; UTF-8 unless the header names another."""
    name, *parameters = (part.strip().lower() for part in header.split(";"))
    charset = next((part[8:].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    return name, charset


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """The media ranges of an Accept header with their qualities, in their order."""
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        yield name, _quality(parameters)


def _quality(parameters: list[str]) -> float:
    text = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0.0
