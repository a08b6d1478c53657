"""JSON as it travels: strict when read, compact and always valid UTF-8 when written."""

import json
from typing import Any, NoReturn


class BadJson(ValueError):  # noqa: N818 - reads as what it is
    """Bytes that are not JSON; the message says why."""


def _refuse_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not a JSON number.")


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
        raise BadJson(f"Byte {error.start} is not valid UTF-8.") from None
    except RecursionError:
        raise BadJson("The values nest too deeply.") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"{error.msg} at line {error.lineno}, column {error.colno}.") from None
    except BadJson:
        raise
    except ValueError:
        raise BadJson("A number has too many digits.") from None
