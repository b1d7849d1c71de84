from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import PlainValidator
from starlette.requests import Request

from handlers import inputs
from handlers.errors import Invalid, MalformedJson, PayloadTooLarge, UnsupportedMediaType
from handlers.inputs import Input, Limit, parsed


def given_text(value: object) -> str:
    if not isinstance(value, str):
        raise inputs.wrong("must be a string")
    return value


class Two(Input):
    first: Annotated[str, PlainValidator(given_text)]
    second: Annotated[str, PlainValidator(given_text)]


class Page(Input):
    limit: Limit = 25


def request(body: bytes, media_type: str | None = "application/json", **state: Any) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", media_type.encode())] if media_type else []
    return Request({"type": "http", "method": "POST", "headers": headers, "state": state}, receive)


async def test_every_fault_is_listed_in_the_order_of_the_fields() -> None:
    with pytest.raises(Invalid) as caught:
        await inputs.body(request(b'{"second":1}'), Two)
    assert caught.value.faults == [("first", "must be a string"), ("second", "must be a string")]


async def test_unknown_fields_are_ignored() -> None:
    assert await inputs.body(request(b'{"first":"a","second":"b","third":1}'), Two) == Two(first="a", second="b")


async def test_no_body_is_an_empty_object_of_any_media_type() -> None:
    for media_type in (None, "text/plain", "application/json"):
        with pytest.raises(Invalid):
            await inputs.body(request(b"", media_type), Two)


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/json+x", "; application/json", "application/json\x1f"]
)
async def test_another_media_type_is_refused_before_the_body_is_read(media_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        await inputs.body(request(b"{", media_type), Two)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null"])
async def test_json_that_is_no_object_is_one_fault(body: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        await inputs.body(request(body), Two)
    assert caught.value.faults == [("", "must be an object")]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{}x",
        b"{'a':1}",
        b'{"a":NaN}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b"[" * 101 + b"]" * 101,
        b"[" * 500_000,
        b'{"a":"\\ud800","a":"dup"}',
        b'{"a":' + b"[" * 100 + b"]" * 100 + b',"a":1}',
    ],
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        parsed(raw)


@given(st.binary(max_size=50) | st.text('{}[]",:0123456789.eE+-\\utrfalsn ', max_size=50).map(str.encode))
def test_any_body_is_read_or_malformed(raw: bytes) -> None:
    try:
        parsed(raw)
    except MalformedJson:
        return


def test_a_hundred_levels_are_read_and_brackets_in_text_are_none() -> None:
    assert parsed(b"[" * 100 + b"]" * 100)
    assert parsed(b'"' + b"[" * 500 + b'"')
    assert parsed(b'["\\"' + b"[" * 500 + b'"]')
    assert parsed(b"[" + b"[]," * 500 + b"[]]")


def test_a_whole_pair_and_what_only_looks_like_half_of_one_are_read() -> None:
    assert parsed(rb'"\ud83c\udf89 \\ud83c \u0041\\"') == "🎉 \\ud83c A\\"


async def test_a_body_is_read_up_to_its_limit_and_no_further() -> None:
    whole = b'{"first":"a","second":"' + b"x" * (inputs.LONGEST_BODY - 25) + b'"}'
    assert len(whole) == inputs.LONGEST_BODY
    assert (await inputs.body(request(whole), Two)).first == "a"
    with pytest.raises(PayloadTooLarge):
        await inputs.body(request(whole + b" "), Two)
    with pytest.raises(UnsupportedMediaType):
        await inputs.body(request(whole + b" ", "text/plain"), Two)


async def test_a_body_without_end_is_left_unread() -> None:
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    with pytest.raises(PayloadTooLarge):
        await inputs.body(Request({**request(b"").scope}, receive), Two)
    assert asked == inputs.LONGEST_BODY // 65_536 + 1


def test_a_number_of_any_length_is_read() -> None:
    assert parsed(b"9" * 5000) > 2**63
    assert parsed(b"-" + b"9" * 5000) < -(2**63)


def test_parameters_without_a_value_count_as_absent() -> None:
    for value in ("", None):
        assert inputs.query(request(b"", parameters={"limit": value}), Page).limit == 25
    assert inputs.query(request(b"", parameters={"limit": "100"}), Page).limit == 100


@pytest.mark.parametrize("value", ["0", "101", "05", "+5", "5 ", "٥", "1e1"])
def test_a_limit_out_of_range_is_refused(value: str) -> None:
    with pytest.raises(Invalid) as caught:
        inputs.query(request(b"", parameters={"limit": value}), Page)
    assert caught.value.faults == [("limit", "must be an integer between 1 and 100")]


class Optional(Input):
    first: Annotated[str | None, PlainValidator(given_text)] = None
    second: Annotated[str | None, PlainValidator(given_text)] = None


async def test_what_is_to_change_is_what_is_given() -> None:
    changes = await inputs.changes(request(b'{"second":"b","third":1}'), Optional)
    assert (changes, changes.model_fields_set) == (Optional(second="b"), {"second"})
    for nothing in (b"{}", b""):
        assert (await inputs.changes(request(nothing), Optional)).model_fields_set == set()


async def test_null_is_given_and_every_fault_is_listed() -> None:
    with pytest.raises(Invalid) as caught:
        await inputs.changes(request(b'{"second":1,"first":null}'), Optional)
    assert caught.value.faults == [("first", "must be a string"), ("second", "must be a string")]
