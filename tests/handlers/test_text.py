from __future__ import annotations

import pytest

from handlers import text


@pytest.mark.parametrize("blank", ["", " ", "\t\n\v\f\r", "\x85\xa0", "\u1680\u2003\u2028\u2029\u202f\u205f\u3000"])
def test_white_space_is_blank(blank: str) -> None:
    assert text.blank(blank)


@pytest.mark.parametrize("given", ["a", " a ", "\x1c\x1d\x1e\x1f", "\u200b", "\ufeff", "\0"])
def test_anything_else_is_not(given: str) -> None:
    assert not text.blank(given)


def test_only_white_space_of_ascii_is_stripped() -> None:
    assert text.stripped(" \t\n\v\f\r a b \r\n") == "a b"
    assert text.stripped("\xa0a\x1c") == "\xa0a\x1c"


@pytest.mark.parametrize(
    ("given", "lower"), [("", ""), ("Zoë@ACME", "zoë@acme"), ("ΑΣ ΑΣΑ", "ασ ασα"), ("ας", "ας"), ("İ", "i̇")]
)
def test_each_letter_is_lowered_whatever_follows_it(given: str, lower: str) -> None:
    assert text.lowered(given) == lower
