from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.encodings import DECODED, MEMBERS, content_encodings, decoded, readable
from shadow.observation import Observation
from tests.shadow.answers import answer

Encode = Callable[[bytes], bytes]


def deflated(content: bytes) -> bytes:
    """As RFC 1951 has it, without zlib's frame."""
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(content) + deflate.flush()


ENCODERS: dict[bytes, Encode] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": partial(brotli.compress, quality=1),
}
encoded = pytest.mark.parametrize(("encoding", "encode"), ENCODERS.items(), ids=lambda each: str(each)[:12])


def encoded_as(encoding: bytes, body: bytes) -> Observation:
    return answer(body, (b"content-encoding", encoding))


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        *ENCODERS.items(),
        (b"X-GZIP", gzip.compress),
        (b"gzip", lambda content: b"".join(map(gzip.compress, (content[:3], b"", content[3:])))),
        (b" BR ", brotli.compress),
        (b"deflate", deflated),
        (b"identity", bytes),
        (b"", bytes),
        (b"gzip, br", lambda content: brotli.compress(gzip.compress(content))),
        (b"identity, gzip", gzip.compress),
    ],
)
@pytest.mark.parametrize("content", [b"", b"x", b"hello " * 1_000])
def test_content_is_what_was_encoded(encoding: bytes, encode: Encode, content: bytes) -> None:
    assert decoded(encoded_as(encoding, encode(content))) == content


def test_encodings_in_two_headers_follow_each_other() -> None:
    seen = answer(brotli.compress(gzip.compress(b"x")), (b"content-encoding", b"gzip"), (b"Content-Encoding", b"br"))
    assert content_encodings(seen) == (b"gzip", b"br")
    assert decoded(seen) == b"x"


@encoded
def test_content_is_decoded_up_to_a_bound_only(encoding: bytes, encode: Encode) -> None:
    exact, over, bomb = (encoded_as(encoding, encode(b" " * size)) for size in (DECODED, DECODED + 1, 64 * DECODED))
    assert len(decoded(exact) or b"") == DECODED
    assert decoded(over) is None
    assert decoded(bomb) is None


def test_several_members_are_decoded_up_to_the_same_bound() -> None:
    half, rest = gzip.compress(b" " * (DECODED - 1)), gzip.compress(b" ")
    assert len(decoded(encoded_as(b"gzip", half + rest)) or b"") == DECODED
    assert decoded(encoded_as(b"gzip", half + rest + rest)) is None
    assert decoded(encoded_as(b"gzip", half + gzip.compress(b" " * (64 * DECODED)))) is None


def test_no_more_members_are_decoded_than_anybody_means() -> None:
    assert decoded(encoded_as(b"gzip", gzip.compress(b"x") * MEMBERS)) == b"x" * MEMBERS
    assert decoded(encoded_as(b"gzip", gzip.compress(b"") * (MEMBERS + 1))) is None


@pytest.mark.parametrize("after", [b"\0\0", b"trailing", gzip.compress(b"x")[:-1]])
def test_what_follows_a_member_is_another_whole_one(after: bytes) -> None:
    assert decoded(encoded_as(b"gzip", gzip.compress(b"x") + after)) is None


def test_a_bomb_within_a_bomb_is_refused() -> None:
    assert decoded(encoded_as(b"gzip, gzip", gzip.compress(gzip.compress(b" " * (64 * DECODED))))) is None


@encoded
def test_a_broken_body_has_no_content(encoding: bytes, encode: Encode) -> None:
    whole = encode(b"hello " * 100)
    for body in (b"none of it", whole[:-4], whole + b"trailing", whole[:-5] + b"?" + whole[-4:]):
        assert decoded(encoded_as(encoding, body)) is None


def test_unknown_encodings_cannot_be_read() -> None:
    assert readable(())
    assert readable((b"gzip", b"br"))
    assert not readable((b"zstd",))
    assert not readable((b"gzip",) * 3)
    assert decoded(encoded_as(b"zstd", b"x")) is None


@given(st.binary(), st.sampled_from([b"gzip", b"deflate", b"br", b"br, gzip", b"\xff", b",,"]))
def test_no_bytes_whatever_raise(body: bytes, encoding: bytes) -> None:
    content = decoded(encoded_as(encoding, body))
    assert content is None or len(content) <= DECODED
