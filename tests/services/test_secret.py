"""Random texts: how much chance is in them, and how codes forgive the way they are typed."""

import hashlib
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.services.secret import (
    SAFE_ALPHABET,
    code_from,
    is_same,
    new_code,
    new_token,
    normalized_code,
    token_hash,
)


def test_tokens_are_different_and_fit_for_urls() -> None:
    tokens = [new_token() for _ in range(1_000)]

    assert len(set(tokens)) == 1_000
    assert all(re.fullmatch(r"[\w-]{43}", token, re.ASCII) for token in tokens)


@given(st.text())
def test_any_text_has_a_hash(text: str) -> None:
    assert len(token_hash(text)) == 32


def test_the_hash_of_a_token_is_its_sha256() -> None:
    assert token_hash("abc") == hashlib.sha256(b"abc").digest()
    assert token_hash("\ud800") != token_hash("\ud801")


def test_codes_have_no_letters_that_look_alike() -> None:
    for group in ("0O", "1IL", "UV", "2Z", "5S", "8B"):
        assert len(set(group) & set(SAFE_ALPHABET)) <= 1
    assert not set("0O1ILUV2Z5S8B") & set(SAFE_ALPHABET)
    assert len(set(SAFE_ALPHABET)) == len(SAFE_ALPHABET) == 23
    assert normalized_code(SAFE_ALPHABET) == SAFE_ALPHABET


def test_every_letter_comes_up_as_often_as_the_others() -> None:
    for codes in ("".join(new_code(10) for _ in range(2_300)), code_from(b"seed", 23_000)):
        counts = Counter(codes)
        assert set(counts) == set(SAFE_ALPHABET)
        # 1,000 each; five standard deviations
        assert all(840 < count < 1_160 for count in counts.values())


def test_a_code_can_be_made_again_from_its_seed() -> None:
    assert code_from(b"seed", 10) == code_from(b"seed", 10) == code_from(b"seed", 50)[:10] != code_from(b"other", 10)


@pytest.mark.parametrize("typed", ["KMNPQ RTWXY", " kmnpq-rtwxy\n", "KMNPQ\u2013RTWXY", "k m n p q r t w x y"])
def test_case_spaces_and_hyphens_are_forgiven(typed: str) -> None:
    assert normalized_code(typed) == "KMNPQRTWXY"


def test_secrets_are_compared_whole() -> None:
    assert is_same(b"abc", b"abc")
    assert not is_same(b"abc", b"abd")
    assert not is_same(b"abc", b"ab")
