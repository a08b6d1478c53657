"""What makes a password easy to guess."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module

# What people put around a word to make it look like a password.
DECORATION = re.compile(r"^[\W\d_]+|[\W\d_]+$")
LOOK_ALIKES = str.maketrans("@4831!|05$7", "aabeiiiosst")
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv5tgb")
MAX_UNIT = 4
# Somebody's own word may be part of a password that has this many other characters.
MIN_OTHER = 8
MIN_WORD = 3


@cache
def common_words() -> frozenset[str]:
    """Well-known passwords, names and words of English, in lower case; read when first needed."""
    # not at the top: it costs time and memory that few processes need
    lists: Mapping[str, Sequence[str]] = import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS
    # a password that is a word as well stands in only one of the lists
    return frozenset(word for words in lists.values() for word in words)


def is_common(password: str) -> bool:
    """Whether it is a well-known password or word, also with figures around it, with 3 for e, or twice."""
    text = password.casefold()
    known = common_words()
    return any(form in known for form in _plain_forms(text))


def is_run(password: str) -> bool:
    """Whether it is a row of keys or letters, or a few characters again and again."""
    text = password.casefold()
    if any(_is_repeated(text, length) for length in range(1, MAX_UNIT + 1)):
        return True
    repeats = len(text) // min(map(len, ROWS)) + 2
    return any(text in row * repeats or text in row[::-1] * repeats for row in ROWS)


def is_made_of(password: str, words: Iterable[str]) -> bool:
    """Whether it is one of these words of the person's own, with hardly anything else."""
    text = password.casefold()
    for word in words:
        own = word.casefold()
        for part in {own, *re.split(r"[\W_]+", own), re.sub(r"[\W_]+", "", own)}:
            if len(part) >= MIN_WORD and part in text and len(text.replace(part, "")) < MIN_OTHER:
                return True
    return False


def _plain_forms(text: str) -> set[str]:
    """What is left of a password without its decoration."""
    bare = DECORATION.sub("", text)
    spelled = {text, bare, text.translate(LOOK_ALIKES), bare.translate(LOOK_ALIKES)}
    return {form for each in spelled if each for form in (each, DECORATION.sub("", each), _unit(each))}


def _unit(text: str) -> str:
    """What a text repeats, or the text."""
    return text[: (text + text).index(text, 1)]


def _is_repeated(text: str, length: int) -> bool:
    return text == (text[:length] * (len(text) // length + 1))[: len(text)]
