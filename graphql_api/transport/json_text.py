"""JSON as it travels: strict when read, compact and always valid UTF-8 when written."""

import json
from typing import Any, NoReturn

from graphql_api.services.translation import Sentence


class BadJson(ValueError):  # noqa: N818 - reads as what it is
    """Bytes that are not JSON; `reason` says why."""

    def __init__(self, reason: Sentence) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _refuse_constant(name: str) -> NoReturn:
    raise BadJson(Sentence("{text} is not a JSON number.", text=name))


# Escaping all but ASCII keeps lone surrogates, which JSON allows and UTF-8 does not, from failing the answer.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def encode_json(value: Any) -> bytes:
    """The value as compact JSON."""
    return _ENCODER.encode(value).encode("ascii")


def decode_json(text: bytes | bytearray) -> Any:
    """The value that was sent.

    Raises:
        BadJson: not UTF-8, not JSON, nested too deeply, or a number too long to be read.
    """
    try:
        return _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise BadJson(Sentence("Byte {position} is not valid UTF-8.", position=error.start)) from None
    except RecursionError:
        raise BadJson(Sentence("The values nest too deeply.")) from None
    except json.JSONDecodeError as error:
        raise BadJson(
            Sentence(
                "{problem} at line {line}, column {column}.", problem=error.msg, line=error.lineno, column=error.colno
            )
        ) from None
    except BadJson:
        raise
    except ValueError:
        raise BadJson(Sentence("A number has too many digits.")) from None
