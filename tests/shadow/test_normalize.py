from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.normalize import DECODED, Body, Form, decoded, normalize
from tests.shadow.answers import JSON, answer


def json_of(body: bytes, *headers: tuple[bytes, bytes]) -> Body:
    return normalize(answer(body, *(headers or (JSON,))))


def deflated(content: bytes, window: int) -> bytes:
    deflate = zlib.compressobj(wbits=window)
    return deflate.compress(content) + deflate.flush()


def test_numbers_keep_their_type_and_every_digit() -> None:
    body = json_of(b"[1, 1.0, true, 12345678901234567890123, 0.10000000000000000001, 1e400]")
    assert body.form is Form.JSON
    assert [type(each) for each in body.value] == [int, Decimal, bool, int, Decimal, Decimal]
    assert body.value[3:] == [12345678901234567890123, Decimal("0.10000000000000000001"), Decimal("1e400")]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[NaN]",
        b"[-Infinity]",
        b"[1e99999999999999999999]",
        b"[" + b"9" * 5_000 + b"]",
        b'{"id": 1, "id": 2}',
        b'{"id": 1',
        b'{"id": 1} x',
        b"",
        b"\xef\xbb\xbf{}",
        b"{'id': 1}",
        b'["\x00"]',
    ],
)
def test_what_is_not_strictly_json_is_text_and_nothing_is_raised(body: bytes) -> None:
    assert json_of(body).form is (Form.TEXT if body else Form.EMPTY)


@given(st.binary(), st.sampled_from([b"application/json", b"text/html", b"", b";;=", b"\xff/\xff; charset=\xff"]))
def test_no_bytes_whatever_raise(body: bytes, media: bytes) -> None:
    for encoding in (b"gzip", b"deflate", b"identity", b"br", b"\xff"):
        seen = answer(body, (b"content-type", media), (b"content-encoding", encoding))
        assert isinstance(normalize(seen), Body)


@pytest.mark.parametrize(
    ("media", "body", "form"),
    [
        (b"application/json", b"1", Form.JSON),
        (b"application/problem+json", b"1", Form.JSON),
        (b"text/plain", b"1", Form.TEXT),
        (b"text/plain", b' {"id": 1}', Form.JSON),
        (b"text/html", b"<p>1</p>", Form.TEXT),
        (b"image/png", b"\x89PNG\xff", Form.BYTES),
        (b"text/plain; charset=unicode_escape", b"\\x", Form.BYTES),
        (b"text/plain; charset=nonsense", b"x", Form.BYTES),
    ],
)
def test_the_form_follows_the_declaration_and_the_content(media: bytes, body: bytes, form: Form) -> None:
    assert json_of(body, (b"content-type", media)).form is form


def test_the_character_set_is_not_part_of_the_value() -> None:
    latin = json_of('{"name":"Jürgen"}'.encode("latin-1"), (b"content-type", b'application/json; charset="ISO-8859-1"'))
    assert latin == json_of('{"name":"Jürgen"}'.encode())


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        (b"gzip", gzip.compress),
        (b"X-GZIP", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda content: deflated(content, -15)),
        (b"identity", bytes),
    ],
)
def test_content_encodings_are_not_part_of_the_value(encoding: bytes, encode: object) -> None:
    content = json.dumps({"id": 1}).encode()
    assert json_of(encode(content), JSON, (b"content-encoding", encoding)) == json_of(content)  # type: ignore[operator]  # a table of functions


def test_a_compressed_body_is_decoded_up_to_a_bound_only() -> None:
    exact, over = (
        answer(gzip.compress(b" " * size), (b"content-encoding", b"gzip")) for size in (DECODED, DECODED + 1)
    )
    assert len(decoded(exact) or b"") == DECODED
    assert decoded(over) is None
    assert normalize(over).form is Form.BYTES


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"cut short")[:-4], gzip.compress(b"a") + b"trailing"])
def test_a_broken_compressed_body_is_bytes(body: bytes) -> None:
    seen = answer(body, (b"content-encoding", b"gzip"))
    assert decoded(seen) is None
    assert normalize(seen).form is Form.BYTES
