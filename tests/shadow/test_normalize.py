from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.normalize import Body, Form, normalize
from tests.shadow.answers import JSON, answer


def json_of(body: bytes, *headers: tuple[bytes, bytes]) -> Body:
    return normalize(answer(body, *(headers or (JSON,))))


def test_numbers_keep_their_type_and_every_digit() -> None:
    body = json_of(b"[1, 1.0, true, 12345678901234567890123, 0.10000000000000000001, 1e400]")
    assert body.form is Form.JSON
    assert body.value == [b"1", b"1.0", True, b"12345678901234567890123", b"0.10000000000000000001", b"1e400"]
    assert body.value[2] is True


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[NaN]",
        b"[-Infinity]",
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
        (b"text/html", b"<p>1</p>", Form.MARKUP),
        (b"application/xhtml+xml", b"<p>1</p>", Form.MARKUP),
        (b"application/xml", b"<p>1</p>", Form.TEXT),
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
    ("media", "control", "candidate"),
    [
        (b"text/plain", b"a\r\nb\r\n", b"a\nb"),
        (b"text/csv", b"\xef\xbb\xbfa", b"a\n"),
        (b"text/html", b"<p>a\r\n</p>\n", b"<p>a\n</p>"),
    ],
)
def test_what_no_reader_sees_is_not_part_of_a_text(media: bytes, control: bytes, candidate: bytes) -> None:
    assert normalize(answer(control, (b"content-type", media))) == normalize(
        answer(candidate, (b"content-type", media))
    )


def test_a_blank_is_part_of_a_text() -> None:
    plain = (b"content-type", b"text/plain")
    assert normalize(answer(b"a ", plain)) != normalize(answer(b"a", plain))
    assert normalize(answer(b"a\n\n", plain)) != normalize(answer(b"a\n", plain))


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"cut short")[:-4]])
def test_a_body_that_cannot_be_decoded_is_bytes(body: bytes) -> None:
    assert normalize(answer(body, JSON, (b"content-encoding", b"gzip"))).form is Form.BYTES
