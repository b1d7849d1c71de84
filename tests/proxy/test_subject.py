from __future__ import annotations

import base64
import json

import mmh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.subject import LONGEST_TOKEN, Source, Subject

ADDRESS = "192.0.2.7"


def encoded(payload: bytes) -> bytes:
    return base64.urlsafe_b64encode(payload).rstrip(b"=")


def token(claims: object) -> bytes:
    return b".".join([encoded(b'{"alg":"HS256"}'), encoded(json.dumps(claims).encode()), b"c2ln"])


def bearer(claims: object) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + token(claims)


JWT = Subject.parse(["jwt:sub"])


def test_the_first_source_that_has_a_value_wins() -> None:
    subject = Subject.parse(["jwt:sub", "header:X-User", "cookie:_session_id", "address"])
    headers = [(b"cookie", b"_session_id=s1"), (b"x-user", b"u1"), bearer({"sub": "1"})]
    assert subject.of(headers, ADDRESS) == "1"
    assert subject.of(headers[:2], ADDRESS) == "u1"
    assert subject.of(headers[:1], ADDRESS) == "s1"
    assert subject.of([], ADDRESS) == ADDRESS


def test_a_source_after_the_address_is_never_asked() -> None:
    assert Subject.parse(["address", "header:X-User"]).of([(b"x-user", b"u1")], ADDRESS) == ADDRESS


def test_without_any_value_it_is_the_address() -> None:
    assert Subject.parse(["header:X-User"]).of([(b"x-user", b"  ")], ADDRESS) == ADDRESS
    assert Subject([]).of([], ADDRESS) == ADDRESS


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sub": "42"}, "42"),
        ({"sub": 42}, "42"),
        ({"sub": "ünïcode"}, "ünïcode"),
        ({"sub": ""}, ADDRESS),
        ({"sub": None}, ADDRESS),
        ({"sub": True}, ADDRESS),
        ({"sub": 1.5}, ADDRESS),
        ({"sub": ["1"]}, ADDRESS),
        ({"sub": "\ud800"}, ADDRESS),
        ({"other": "1"}, ADDRESS),
        (["sub"], ADDRESS),
        ("sub", ADDRESS),
    ],
)
def test_a_claim_that_is_text_or_a_whole_number_is_a_subject(claims: object, expected: str) -> None:
    assert JWT.of([bearer(claims)], ADDRESS) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer a.b",
        b"Bearer a.b.c.d.e",
        b"Bearer ..",
        b"Bearer a.!!!!.c",
        b"Bearer a." + encoded(b"not json") + b".c",
        b"Bearer a." + encoded(b"\xff\xfe") + b".c",
        b"Bearer a." + encoded(b"[" * 4000) + b".c",
        b"Bearer a." + encoded(b'{"sub":' + b"9" * 5000 + b"}") + b".c",
        b"Basic " + token({"sub": "1"}),
        b"Bearer " + token({"sub": "1", "padding": "x" * LONGEST_TOKEN}),
    ],
)
def test_a_token_that_cannot_be_read_is_passed_over(value: bytes) -> None:
    assert JWT.of([(b"authorization", value)], ADDRESS) == ADDRESS


def test_names_of_headers_are_compared_without_case() -> None:
    assert JWT.of([(b"Authorization", b"bearer " + token({"sub": "1"}))], ADDRESS) == "1"
    assert Subject.parse(["header:x-USER"]).of([(b"X-User", b"u")], ADDRESS) == "u"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"cookie", b"sid=1")],
        [(b"cookie", b"a=2; sid=1; sid=3")],
        [(b"cookie", b"a=2;sid=1 ")],
        [(b"Cookie", b"xsid=2"), (b"cookie", b"sid=1")],
        [(b"cookie", b"sid="), (b"cookie", b"sid=1")],
    ],
)
def test_the_first_cookie_of_the_name_that_has_a_value_is_found(headers: list[tuple[bytes, bytes]]) -> None:
    assert Subject.parse(["cookie:sid"]).of(headers, ADDRESS) == "1"


@pytest.mark.parametrize("value", [b"SID=1", b"xsid=1", b"sid", b"a=sid=1"])
def test_a_cookie_of_another_name_is_not(value: bytes) -> None:
    assert Subject.parse(["cookie:sid"]).of([(b"cookie", value)], ADDRESS) == ADDRESS


@pytest.mark.parametrize(
    "text", ["", "jwt", "jwt:", "header:", "header:a b", "cookie:", "cookie:a=b", "address:x", "user:id"]
)
def test_what_is_no_subject_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write jwt:CLAIM, header:NAME, cookie:NAME or address"):
        Source.parse(text)


ALL = Subject.parse(["jwt:sub", "header:x", "cookie:c", "address"])
NAMES = st.sampled_from([b"authorization", b"x", b"cookie"]) | st.binary(max_size=5)
VALUES = (
    st.binary() | st.builds(lambda b: b"Bearer a." + encoded(b) + b".c", st.binary()) | st.binary().map(b"c=".__add__)
)


@given(st.lists(st.tuples(NAMES, VALUES)))
@example([(b"authorization", b"Bearer a." + encoded(b'{"sub":"\\ud800"}') + b".c")])
def test_hostile_headers_yield_something_that_can_be_hashed(headers: list[tuple[bytes, bytes]]) -> None:
    found = ALL.of(headers, ADDRESS)
    assert found
    mmh3.hash(f"default:{found}", signed=False)


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_any_text_survives_as_a_claim(text: str) -> None:
    assert JWT.of([bearer({"sub": text})], ADDRESS) == text


def test_it_is_told_where_a_subject_was_found_and_the_address_is_always_the_last_place() -> None:
    subject = Subject.parse(["header:X-User", "cookie:sid"])
    assert [str(source) for source in subject.sources] == ["header:X-User", "cookie:sid", "address"]
    assert subject.find([(b"cookie", b"sid=s1")], ADDRESS) == ("s1", 1)
    assert subject.find([], ADDRESS) == (ADDRESS, 2)
    assert [str(source) for source in Subject.parse(["jwt:sub", "address", "cookie:sid"]).sources] == [
        "jwt:sub",
        "address",
    ]
