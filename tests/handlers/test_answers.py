from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers import Answer, encode, instant

# Everything that PostgreSQL can store as text, which is all of Unicode but NUL.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_was_encoded_is_read_back(value: object) -> None:
    assert json.loads(encode(value)) == value


@given(VALUES)
def test_nothing_that_html_or_javascript_would_read_is_left_as_it_is(value: object) -> None:
    assert not set("<>&\u2028\u2029") & set(encode(value).decode())


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("<b>&amp;</b>", r'"\u003cb\u003e\u0026amp;\u003c/b\u003e"'),
        ("a\u2028b\u2029c", r'"a\u2028b\u2029c"'),
        ("é 🎉 日本 \ufffe \x7f", '"é 🎉 日本 \ufffe \x7f"'),
        ("\b\f\n\r\t", r'"\b\f\n\r\t"'),
        ("\x01\x0b\x1f", r'"\u0001\u000b\u001f"'),
        ('"\\/', r'"\"\\/"'),
        (r"\u003c", r'"\\u003c"'),
    ],
)
def test_text_is_encoded_as_rails_does(text: str, encoded: str) -> None:
    assert encode(text).decode() == encoded


def test_there_are_no_spaces_and_the_order_is_kept() -> None:
    assert encode({"b": [1, None], "a": {"c": True}}) == b'{"b":[1,null],"a":{"c":true}}'


def test_digits_beyond_milliseconds_are_cut_off() -> None:
    assert instant(datetime(2026, 1, 2, 3, 4, 5, 678_999)) == "2026-01-02T03:04:05.678Z"
    assert instant(datetime(2026, 1, 2)) == "2026-01-02T00:00:00.000Z"


@given(st.datetimes())
def test_every_time_has_the_same_form(at: datetime) -> None:
    text = instant(at)
    assert len(text) == 24
    assert datetime.fromisoformat(text[:-1]) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_an_answer_tells_its_length_in_bytes() -> None:
    answer = Answer("é", status=201, headers=[(b"x-more", b"1")])
    assert (b"content-length", b"4") in answer.raw_headers
    assert (b"x-more", b"1") in answer.raw_headers
    assert answer.status_code == 201
