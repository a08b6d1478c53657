"""Which media type an answer gets, and what that type says about the status."""

from functools import lru_cache

from graphql_api.transport.problems import JSON

GRAPHQL_JSON = "application/graphql-response+json"
ACCEPTED = {JSON: JSON, "application/*": JSON, "*/*": JSON, GRAPHQL_JSON: GRAPHQL_JSON}


@lru_cache(maxsize=256)
def answer_type(accept: str) -> str:
    """The media type for an Accept header; the one named first wins among equals, and JSON when nothing fits."""
    best, best_quality = JSON, 0.0
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = _quality(parameters)
        if name in ACCEPTED and quality > best_quality:
            best, best_quality = ACCEPTED[name], quality
    return best


@lru_cache(maxsize=256)
def content_type(header: str) -> tuple[str, str]:
    """The media type of a body and its charset, in lower case; UTF-8 unless the header names another."""
    name, *parameters = (part.strip().lower() for part in header.split(";"))
    charset = next((part[8:].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    return name, charset


def _quality(parameters: list[str]) -> float:
    text = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0.0
