"""Every message of the program, and the catalogues that translate them.

`python -m tests.services.translation_catalogue` brings the catalogues up to date: it adds what is new, without a
translation, drops what is gone, and names what waits for a translator.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from graphql_api.database.user import Language
from graphql_api.services.translation import SOURCE, catalogue_file

PACKAGE = Path(__file__).resolve().parents[2] / "graphql_api"
TEMPLATES = PACKAGE / "services" / "mail" / "templates"
# What makes messages; their subclasses do as well.
ROOTS = frozenset({"ServiceError", "RequestRefused", "Sentence"})
# Arguments that are no values of the message.
TAKEN = {
    "RequestRefused": frozenset({"status", "code", "headers"}),
    "InsufficientStock": frozenset({"path", "shortages"}),
    "PurchaseInUse": frozenset({"path", "blockers"}),
}
TAKEN_BY_OTHERS = frozenset({"path"})
# What the head of a catalogue need not say; dates and versions would differ after every run.
FLEETING = tuple(
    f'"{name}'.encode()
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
HEAD = "# What the program says. `python -m tests.services.translation_catalogue` brings it up to date."

MessageId = str | tuple[str, ...]


@dataclass(frozen=True)
class MessageCall:
    """A place in the code that makes a message; `template` is None when it is no literal there.

    `values` are the names of what is given to it beside what its class takes for itself.
    """

    path: str
    line: int
    source: str
    template: str | None
    values: frozenset[str]


@cache
def parsed_modules() -> dict[str, ast.Module]:
    """Every module of the package by its path."""
    paths = (path for path in sorted(PACKAGE.rglob("*.py")) if "node_modules" not in path.parts)
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def message_classes() -> frozenset[str]:
    """The names of all classes whose first argument is told to a person."""
    classes = [
        node for module in parsed_modules().values() for node in ast.walk(module) if isinstance(node, ast.ClassDef)
    ]
    found = set(ROOTS)
    while more := {node.name for node in classes if found & set(map(name_of, node.bases))} - found:
        found |= more
    return frozenset(found)


def name_of(node: ast.expr) -> str | None:
    """The last part of a dotted name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def message_calls() -> Iterator[MessageCall]:
    """Every call that makes a message."""
    for path, module in parsed_modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and _makes_message(node):
                yield MessageCall(path, node.lineno, ast.unparse(node), _template(node), _values(node))


def _makes_message(call: ast.Call) -> bool:
    match call.func:
        case ast.Call(func=ast.Name(id="type")):  # `type(error)(…)`: another of the same class
            return True
    return name_of(call.func) in message_classes()


def _template(call: ast.Call) -> str | None:
    match call.args:
        case [ast.Constant(value=str(template)), *_]:
            return template
    return None


def _values(call: ast.Call) -> frozenset[str]:
    given = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
    return given - TAKEN.get(name_of(call.func) or "", TAKEN_BY_OTHERS)


def extracted() -> dict[MessageId, set[str]]:
    """Every message, with the files that have it."""
    messages: dict[MessageId, set[str]] = {}
    for call in message_calls():
        if call.template is not None:
            messages.setdefault(call.template, set()).add(call.path)
    for path in sorted(TEMPLATES.iterdir()):
        for message in _template_messages(path):
            messages.setdefault(message, set()).add(path.relative_to(PACKAGE).as_posix())
    return messages


def _template_messages(path: Path) -> Iterator[MessageId]:
    options = {"newstyle_gettext": "true", "silent": "false"}
    for _, _, message, _ in babel_extract(BytesIO(path.read_bytes()), ("gettext", "ngettext"), [], options):
        # the arguments of a call: those that are no literals are None
        arguments = message if isinstance(message, tuple) else (message,)
        forms = tuple(argument for argument in arguments if argument)
        yield forms if len(forms) > 1 else forms[0]


def read_catalogue(language: Language) -> Catalog:
    """The catalogue as it is kept."""
    with catalogue_file(language).open("rb") as file:
        return read_po(file, locale=language.value, abort_invalid=True)


def renewed_catalogue(language: Language) -> Catalog:
    """The catalogue with all messages of today and the translations it has of them."""
    kept = read_catalogue(language)
    catalogue = Catalog(locale=language.value, header_comment=HEAD, fuzzy=False)
    for message, places in extracted().items():
        entry = kept.get(message)
        catalogue.add(message, entry.string if entry else None, locations=[(place, 0) for place in sorted(places)])
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """The catalogue as a file."""
    buffer = BytesIO()
    write_po(buffer, catalogue, width=118, sort_output=True, include_lineno=False, ignore_obsolete=True)
    return b"".join(line for line in buffer.getvalue().splitlines(keepends=True) if not line.startswith(FLEETING))


def entries(catalogue: Catalog) -> list[Entry]:
    """The messages of a catalogue, without its head."""
    return [entry for entry in catalogue if entry.id]


def is_translated(entry: Entry) -> bool:
    """Whether every form of the message has words."""
    strings = entry.string if isinstance(entry.string, tuple) else (entry.string,)
    return all(strings)


def main() -> None:
    """Bring the catalogues up to date and name what waits for a translator."""
    for language in Language:
        if language is SOURCE:
            continue
        catalogue = renewed_catalogue(language)
        catalogue_file(language).write_bytes(written(catalogue))
        missing = [entry.id for entry in entries(catalogue) if not is_translated(entry)]
        print(f"{language.value}: {len(entries(catalogue))} messages, {len(missing)} without translation")  # noqa: T201 - a program for people
        for message in missing:
            print(f"  {message}")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
