"""Arguments of which exactly one must be given."""

from typing import Any

from graphql_api.services.errors import BadInput


def only_one(**arguments: Any) -> None:
    """Return when exactly one argument is not None.

    Raises:
        BadInput: when none or several are given, naming all of them.
    """
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) != 1:
        first, second = arguments
        raise BadInput(
            "Give exactly one of `{first}` and `{second}`.",
            path=(given[-1],) if given else (),
            first=first,
            second=second,
        )
