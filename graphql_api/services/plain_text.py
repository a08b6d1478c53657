"""What a text of one line may hold, wherever people write one: names, numbers, addresses."""

import unicodedata

# Control characters, halves of surrogate pairs, and separators of lines and paragraphs.
CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
# These turn the text around them, so that a list shows something else than what is stored.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE = frozenset({"Cf", "Zs"})


def has_control(text: str) -> bool:
    """Whether a text holds line breaks or other characters that control how it, or what is around it, is shown."""
    return any(unicodedata.category(character) in CONTROL or character in TURNING for character in text)


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen."""
    return all(unicodedata.category(character) in INVISIBLE for character in text)
