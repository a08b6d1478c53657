"""Languages: which one a reader wants, and that every message is there in each of them."""

import re
import string
from collections import Counter

import pytest
from babel.messages.catalog import Message as Entry
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.database.user import Language
from graphql_api.services.errors import BadInput, RateLimited
from graphql_api.services.translation import SOURCE, Sentence, catalogue_file, preferred_language, translate
from tests.services.translation_catalogue import (
    entries,
    extracted,
    is_translated,
    message_calls,
    read_catalogue,
    renewed_catalogue,
    written,
)

TRANSLATED = [language for language in Language if language is not SOURCE]
# `{name}`, `{name:,}` or `{name!r}` of ours, `%(name)s` of the templates, and names of the API.
FIXED = re.compile(r"\{\w+(?:![rs])?(?::[^}]*)?\}|%\(\w+\)s|`[^`]+`")
# Calls that pass on what is a literal elsewhere: the same error, seen from further up.
PASSED_ON = {
    "services/errors.py: type(self)(self.template, path=(*path, *self.path), **self.values)",
    "services/errors.py: type(self)([problem.below(*path) for problem in self.problems])",
    "services/stock_subject.py: Problems(self.problems)",
}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.EN),
        ("ar", Language.AR),
        ("ar-EG", Language.AR),
        ("AR-eg", Language.AR),
        ("ar-Arab-EG, en;q=0.5", Language.AR),
        ("en, ar", Language.EN),
        ("ar, en", Language.AR),
        ("en;q=0.3, ar;q=0.9", Language.AR),
        ("fr, ar;q=0.2", Language.AR),
        ("fr-CH, fr;q=0.9, de", Language.EN),
        ("*", Language.EN),
        ("*;q=0.1, ar;q=0.5", Language.AR),
        ("en;q=0, *", Language.AR),
        ("*, en;q=0", Language.AR),
        ("ar;q=0", Language.EN),
        ("ar;q=0, *", Language.EN),
        ("ar ; q=1.0", Language.AR),
        ("ar;q=7", Language.AR),
        ("ar;q=nan", Language.EN),
        ("ar;q=-1", Language.EN),
        ("ar;q=", Language.EN),
        ("arabic", Language.EN),
        (";;,,=,q", Language.EN),
        ("x" * 100_000 + ", ar", Language.EN),
    ],
)
def test_the_language_that_suits_best_is_taken(header: str, language: Language) -> None:
    assert preferred_language(header) is language


@given(st.text())
def test_no_header_is_too_odd(header: str) -> None:
    assert preferred_language(header) in Language


def test_a_message_is_told_in_the_readers_language_with_its_values() -> None:
    error = BadInput("`first` goes from 0 to {limit}; got {given}.", limit=1_000, given=-1)
    assert translate(error, Language.EN) == str(error) == "`first` goes from 0 to 1000; got -1."
    assert translate(error, Language.AR) == "قيمة `first` من 0 إلى 1000؛ والقيمة المعطاة -1."


def test_a_sentence_within_a_sentence_is_translated_too() -> None:
    error = BadInput("{what} is not JSON. {reason}", what=Sentence("The body"), reason="…")
    assert error.message == "The body is not JSON. …"
    assert translate(error, Language.AR) == "محتوى الطلب ليس بصيغة JSON. …"


def test_braces_of_a_message_without_values_mean_themselves() -> None:
    error = BadInput("`gapFill` needs a time bucket in `groupBy`, such as `{time: MONTH}`.")
    assert "`{time: MONTH}`" in translate(error, Language.EN)
    assert "`{time: MONTH}`" in translate(error, Language.AR)


def test_values_are_never_taken_for_templates() -> None:
    error = BadInput("There is no filter `{name}`.", name="{limit} %(name)s {0.__class__}")
    assert translate(error, Language.EN) == "There is no filter `{limit} %(name)s {0.__class__}`."
    assert "{limit} %(name)s {0.__class__}" in translate(error, Language.AR)


def test_what_has_no_translation_is_told_in_english() -> None:
    template = "Nobody has translated {this}."  # kept out of the catalogues by not being a literal argument
    assert translate(BadInput(template, this="yet"), Language.AR) == "Nobody has translated yet."


def test_an_error_seen_from_further_up_is_the_same_message() -> None:
    error = RateLimited("Too many attempts. Try again in {retry_after} seconds.", retry_after=7)
    assert translate(error.below("input"), Language.AR) == translate(error, Language.AR)
    assert "7" in translate(error, Language.AR)


def test_every_message_is_a_literal_that_catalogues_can_hold() -> None:
    calls = list(message_calls())
    assert len(calls) > 150
    assert {f"{call.path}: {call.source}" for call in calls if call.template is None} == PASSED_ON


def test_every_placeholder_of_a_message_is_given() -> None:
    wrong = [
        f"{call.path}:{call.line}"
        for call in message_calls()
        if call.template is not None
        and call.values
        and {name for _, name, _, _ in string.Formatter().parse(call.template) if name} != call.values
    ]
    assert wrong == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_has_every_message_and_no_other(language: Language) -> None:
    kept = {entry.id if isinstance(entry.id, str) else tuple(entry.id) for entry in entries(read_catalogue(language))}
    assert kept == extracted().keys()


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated(language: Language) -> None:
    catalogue = read_catalogue(language)
    assert [entry.id for entry in entries(catalogue) if entry.fuzzy or not is_translated(entry)] == []
    assert not catalogue.obsolete


def keeps_what_is_fixed(entry: Entry) -> bool:
    """Whether the translation has the same placeholders and names; a form for one or two need not say the number."""
    if isinstance(entry.id, str):
        return Counter(FIXED.findall(entry.id)) == Counter(FIXED.findall(str(entry.string)))
    allowed = set(FIXED.findall(entry.id[-1]))
    return all(set(FIXED.findall(form)) <= allowed for form in entry.string or ())


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_placeholders_and_the_names_of_the_api(language: Language) -> None:
    strange = [entry.id for entry in entries(read_catalogue(language)) if not keeps_what_is_fixed(entry)]
    assert strange == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_are_in_the_writing_of_their_language(language: Language) -> None:
    arabic = re.compile(r"[\u0621-\u064a]")
    untranslated = [entry.id for entry in entries(read_catalogue(language)) if not arabic.search(str(entry.string))]
    assert untranslated == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_is_as_its_program_writes_it(language: Language) -> None:
    assert catalogue_file(language).read_bytes() == written(renewed_catalogue(language))
