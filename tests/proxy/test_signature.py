from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signature import CLOCKS, SHADOW, SIGNATURE, Header, Secret

SECRET = Secret(b"0123456789abcdef0123456789abcdef")
NOW = 1_700_000_000.5
ASKED: dict[str, Any] = {"method": b"GET", "target": b"/a?b=1", "now": NOW}
MARK = (SHADOW, b"r-7")
SIGNED = SECRET.signed([MARK], **ASKED)


def test_words_are_believed_by_whoever_shares_the_secret() -> None:
    assert SECRET.words([(b"host", b"h"), *SIGNED], **ASKED) == {"shadow": "r-7"}


def test_the_signature_is_the_documented_one() -> None:
    text = b"1700000000\nGET\n/a?b=1\nx-strangler-other:1\nx-strangler-shadow:r-7"
    digest = hmac.new(SECRET.value, text, hashlib.sha256).hexdigest()
    signed = SECRET.signed([MARK, (b"X-Strangler-Other", b" 1\t")], **ASKED)
    assert signed[-1] == (SIGNATURE, f"t=1700000000,v1={digest}".encode())


@pytest.mark.parametrize(
    "changed",
    [
        {"method": b"POST"},
        {"target": b"/a?b=2"},
        {"target": b"/A?b=1"},
        {"now": NOW + CLOCKS + 1},
        {"now": NOW - CLOCKS - 1},
    ],
)
def test_a_signature_is_for_one_request_and_for_a_minute(changed: dict[str, Any]) -> None:
    assert SECRET.words(SIGNED, **ASKED | changed) == {}


@pytest.mark.parametrize("off", [-CLOCKS, CLOCKS])
def test_clocks_may_differ(off: int) -> None:
    assert SECRET.words(SIGNED, **ASKED | {"now": int(NOW) + off}) == {"shadow": "r-7"}


def test_nothing_is_believed_without_the_secret() -> None:
    assert Secret(b"another secret of another fleet...").words(SIGNED, **ASKED) == {}


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [MARK],
        [(SHADOW, b"r-8"), SIGNED[-1]],
        [(b"x-strangler-other", b"r-7"), SIGNED[-1]],
        [*SIGNED, (b"x-strangler-other", b"1")],
        [*SIGNED, (b"X-Strangler-Other", b"1")],
        [*SIGNED, MARK],
        [*SIGNED, SIGNED[-1]],
        [*SIGNED, (SIGNATURE, b"")],
        [SIGNED[-1]],
    ],
)
def test_a_word_added_changed_doubled_or_taken_away_voids_them_all(lines: list[Header]) -> None:
    assert SECRET.words(lines, **ASKED) == {}


def test_a_word_signed_twice_over_is_ambiguous_and_not_believed() -> None:
    assert SECRET.words(SECRET.signed([MARK, (SHADOW, b"r-8")], **ASKED), **ASKED) == {}


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"t=1700000000",
        b"v1=" + SIGNED[-1][1][-64:],
        SIGNED[-1][1] + b" ",
        SIGNED[-1][1].upper(),
        SIGNED[-1][1][:-1],
        SIGNED[-1][1].replace(b"t=", b"t=0"),
        SIGNED[-1][1].replace(b"t=", b"t=-"),
        SIGNED[-1][1].replace(b",", b", "),
        b"t=99999999999999999999," + SIGNED[-1][1].partition(b",")[2],
    ],
)
def test_a_malformed_signature_is_none(signature: bytes) -> None:
    assert SECRET.words([MARK, (SIGNATURE, signature)], **ASKED) == {}


def test_a_line_may_be_spelled_and_ordered_as_intermediaries_do() -> None:
    signed = SECRET.signed([MARK, (b"x-strangler-other", b"1")], **ASKED)
    spelled = [(name.title(), value) for name, value in reversed(signed)]
    assert SECRET.words(spelled, **ASKED) == {"shadow": "r-7", "other": "1"}


def test_the_secret_is_not_in_what_is_logged() -> None:
    assert "0123" not in repr(SECRET)


TEXT = st.binary(max_size=12).filter(lambda text: b"\n" not in text)
NAMES = st.from_regex(rb"\Ax-strangler-[a-z]{1,3}\Z").filter(lambda name: name != SIGNATURE)
WORDS = st.dictionaries(NAMES, TEXT.map(lambda text: text.strip(b" \t")), min_size=1, max_size=3)


@given(WORDS, TEXT, TEXT, WORDS, TEXT, TEXT)
def test_no_two_requests_share_a_signature(
    words: dict[bytes, bytes], method: bytes, target: bytes, others: dict[bytes, bytes], verb: bytes, place: bytes
) -> None:
    signed = SECRET.signed(words.items(), method=method, target=target, now=NOW)
    told = SECRET.words(signed, method=method, target=target, now=NOW)
    assert told == {name[12:].decode(): value.decode("latin-1") for name, value in words.items()}
    same = (words, method, target) == (others, verb, place)
    moved = [*others.items(), signed[-1]]
    assert bool(SECRET.words(moved, method=verb, target=place, now=NOW)) is same


@given(st.lists(st.tuples(st.sampled_from([SHADOW, SIGNATURE, b"X-Strangler-A", b"host"]), st.binary())))
def test_nothing_that_comes_makes_it_raise_or_believe(lines: list[Header]) -> None:
    assert SECRET.words(lines, **ASKED) == {}
