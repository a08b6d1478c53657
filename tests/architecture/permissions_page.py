"""docs/permissions.md as the tables of rights and limits have it.

After a change of the tables: `python -m tests.architecture.permissions_page`.
"""

from collections.abc import Iterable

from graphql_api.database.user import Role
from graphql_api.schema.permissions import ANY_TYPE, FIELDS, INPUTS, ROOT_FIELDS
from graphql_api.schema.refetch import SOURCES
from graphql_api.services.policy import OWN_ROWS, PUBLIC, ROLES, Action
from graphql_api.services.throttle_rules import EVERY_MUTATION, LIMITS
from tests.architecture.repository import ROOT

PAGE = ROOT / "docs" / "permissions.md"
HEAD = """# Who may do what

This page is made from the tables that the program reads: `services/policy.py` (roles), `schema/permissions.py` (fields)
and `services/throttle_rules.py` (limits). A test holds it to them. What is in no table is refused to everybody.

Without signing in: `UNAUTHENTICATED`. With a role that may not: `FORBIDDEN`. An object that is not visible to you is
answered exactly as one that does not exist. `viewer { can(action: …, on: …) { allowed reason } }` tells beforehand.
"""


def permissions_page() -> str:
    """The whole page."""
    parts = [HEAD, "## Roles\n", *_roles(), "", "## Fields\n", *_fields(), "", "## Objects by `node(id)`\n", *_nodes()]
    return "\n".join([*parts, "", "## Limits\n", *_limits(), ""])


def _roles() -> Iterable[str]:
    yield f"| right | means | {' | '.join(Role)} | nobody |"
    yield "|---|---|" + "---|" * (len(Role) + 1)
    for action in Action:
        roles = " | ".join(_allowed(action, role) for role in Role)
        yield f"| `{action.name}` | {action.value} | {roles} | {'yes' if action in PUBLIC else ''} |"
    notes = [f"- {role}, `{action.name}`: {rows}." for (action, role), rows in OWN_ROWS.items()]
    yield from ("", "“own” is narrower than the right:\n", *notes)


def _allowed(action: Action, role: Role) -> str:
    if role not in ROLES[action]:
        return ""
    return "own" if (action, role) in OWN_ROWS else "yes"


def _fields() -> Iterable[str]:
    yield "| right | root fields | fields below | parts of inputs |"
    yield "|---|---|---|---|"
    for action in Action:
        roots = [name for name, needed in ROOT_FIELDS.items() if needed is action]
        below = [_place(*place) for place, needed in FIELDS.items() if needed is action]
        parts = [_place(*place) for place, needed in INPUTS.items() if needed is action]
        yield f"| `{action.name}` | {_code(roots)} | {_code(below)} | {_code(parts)} |"


def _place(type_name: str, name: str) -> str:
    return f"….{name}" if type_name == ANY_TYPE else f"{type_name}.{name}"


def _nodes() -> Iterable[str]:
    yield "| type | right |"
    yield "|---|---|"
    for name, source in SOURCES.items():
        own = ", or the own account" if name == "User" else ""
        yield f"| `{name}` | `{source.action.name}`{own} |"


def _limits() -> Iterable[str]:
    yield "Each execution of a field counts, also several in one document. Too many are `RATE_LIMITED`, and"
    yield "`extensions.retryAfter` is the number of seconds to wait. Of IPv6 a whole /64 network is one address.\n"
    yield "| field | limits |"
    yield "|---|---|"
    for field, limits in {**LIMITS, "all mutations together": EVERY_MUTATION}.items():
        shown = "; ".join(f"{limit} and {subject}" for subject, limit in limits.items())
        yield f"| {f'`{field}`' if field in LIMITS else field} | {shown} |"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(permissions_page(), encoding="utf-8")
