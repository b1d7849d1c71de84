"""A body without its content encoding, and never more of it than is worth the memory. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Final

from .observation import Observation

DECODED: Final = 1024 * 1024  # of a compressed body, this much is compared
# Window bits, as zlib has them.
GZIP: Final = 31
DEFLATE: Final = 15
RAW_DEFLATE: Final = -15  # "deflate" is zlib's format (RFC 9110, 8.4.1.2), but some send it bare
MEMBERS: Final = 64  # of one gzip: as many whole contents one after another (RFC 1952, 2.2)
LAYERS: Final = 2  # encodings of one body, one over the other; more are sent by nobody who means well

Decode = Callable[[bytes, int], bytes | None]


def readable(encodings: tuple[bytes, ...]) -> bool:
    """Whether all of a body's encodings are known."""
    return len(encodings) <= LAYERS and all(each in _DECODERS for each in encodings)


def content_encodings(seen: Observation) -> tuple[bytes, ...]:
    """The encodings of a body, in the order in which they were applied."""
    named = b",".join(seen.values(b"content-encoding")).lower().split(b",")
    return tuple(each for part in named if (each := part.strip()) not in (b"", b"identity"))


def decoded(seen: Observation, limit: int = DECODED) -> bytes | None:
    """The body before it was encoded; None if that is unknown or broken, or the content larger than `limit`."""
    encodings = content_encodings(seen)
    if not readable(encodings):
        return None
    content: bytes | None = seen.body
    for encoding in reversed(encodings):
        if not content:
            break
        content = _DECODERS[encoding](content, limit)
    return content


def _inflated(window: int, members: int = 1) -> Decode:
    def inflate(body: bytes, limit: int) -> bytes | None:
        content, rest = b"", body
        for _ in range(members):
            stream = zlib.decompressobj(window)
            try:
                content += stream.decompress(rest, limit + 1 - len(content))
            except zlib.error:
                return None
            if not stream.eof or len(content) > limit:
                return None
            if not (rest := stream.unused_data):
                return content
        return None

    return inflate


def _deflated(body: bytes, limit: int) -> bytes | None:
    content = _inflated(DEFLATE)(body, limit)
    return _inflated(RAW_DEFLATE)(body, limit) if content is None else content


def _brotli(body: bytes, limit: int) -> bytes | None:
    import brotli  # where it is seen: most processes never do

    stream = brotli.Decompressor()
    try:
        content: bytes = stream.process(body, output_buffer_limit=limit + 1)
        return content if stream.is_finished() and len(content) <= limit else None
    except brotli.error:
        return None


_DECODERS: Final[Mapping[bytes, Decode]] = {
    b"gzip": _inflated(GZIP, MEMBERS),
    b"x-gzip": _inflated(GZIP, MEMBERS),
    b"deflate": _deflated,
    b"br": _brotli,
}
