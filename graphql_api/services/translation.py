"""Messages in the reader's language. English is the source; the catalogues of other languages are gettext's."""

import gettext
import io
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from graphql_api.database.user import Language

LOCALES = Path(__file__).parent / "locale"
SOURCE = Language.EN
# Longer ones come from nobody who wants an answer in a language of his own.
MAX_HEADER = 1_000


class Message(Protocol):
    """Something to be told to a person: an English template and what stands in its places."""

    @property
    def template(self) -> str:
        """English, with `{name}` in place of a value when there are values."""
        ...

    @property
    def values(self) -> Mapping[str, object]:
        """What stands in the places; a value may itself be a `Sentence`."""
        ...


class Sentence:
    """A sentence, or a part of one, that every language has words for.

    Args:
        template: a literal, so that the catalogues can hold it.
        values: what its placeholders stand for.
    """

    def __init__(self, template: str, **values: object) -> None:
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return translate(self, SOURCE)


def catalogue_file(language: Language) -> Path:
    """Where the translations into a language are kept."""
    return LOCALES / language.value / "LC_MESSAGES" / "messages.po"


def _read_catalogue(language: Language) -> gettext.NullTranslations:
    if language is SOURCE:
        return gettext.NullTranslations()
    with catalogue_file(language).open("rb") as file:
        catalogue = read_po(file, locale=language.value, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


CATALOGUES: Mapping[Language, gettext.NullTranslations] = {language: _read_catalogue(language) for language in Language}


def translate(message: Message, language: Language) -> str:
    """The message in `language`; English where a translation is missing."""
    template = CATALOGUES[language].gettext(message.template)
    if not message.values:
        return template
    return template.format_map({name: _told(value, language) for name, value in message.values.items()})


def _told(value: object, language: Language) -> object:
    return translate(value, language) if isinstance(value, Sentence) else value


@lru_cache(maxsize=256)
def preferred_language(accept_language: str) -> Language:
    """The language that suits a header `Accept-Language` best; English when none is named that we have."""
    best, best_weight = SOURCE, 0.0
    refused: set[str] = set()
    for name, weight in _wishes(accept_language[:MAX_HEADER]):
        if weight == 0:
            refused.add(name)
        language = _spoken(name, refused)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def _wishes(header: str) -> Iterator[tuple[str, float]]:
    """Languages without their region, with their weight; those that are refused come first."""
    wishes = [_wish(item) for item in header.split(",")]
    return iter(sorted(wishes, key=lambda wish: wish[1] > 0))


def _wish(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    return name.partition("-")[0], _weight(weight)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return min(max(weight, 0.0), 1.0) if math.isfinite(weight) else 0.0


def _spoken(name: str, refused: set[str]) -> Language | None:
    if name != "*":
        return next((language for language in Language if language.value == name), None)
    return next((language for language in (SOURCE, *Language) if language.value not in refused), None)
