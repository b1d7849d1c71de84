"""Requests that nobody thought of: well-formed ones, and what makes one malformed. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from tests.fidelity.cases import TE, chunked
from tests.fidelity.framing import Header

CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])


@dataclass(frozen=True, slots=True)
class Request:
    """`parts` are those of its body: chunks, or so many bytes. `head` is given only if it is not what it should be."""

    method: bytes
    target: bytes
    lines: tuple[bytes, ...]
    parts: tuple[bytes, ...]
    in_chunks: bool
    head: bytes = b""

    def raw(self) -> bytes:
        """Ahead of the body, the line that frames it."""
        length = sum(map(len, self.parts))
        framing = TE if self.in_chunks else b"Content-Length: %d" % length
        start = b"%b %b HTTP/1.1" % (self.method, self.target)
        head = self.head or b"\r\n".join([start, b"Host: example.test", *self.lines, framing, b"", b""])
        return head + (chunked(*self.parts) if self.in_chunks else b"".join(self.parts))

    @property
    def headers(self) -> list[Header]:
        return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in self.lines)]


METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND"])
TARGETS = st.text("abXY01/.;,:@!$&'()*+=~-_?[]{}|\\^`%", max_size=60).map(lambda path: b"/free/" + path.encode())
NAMES = st.text("abcXYZ019!#$%&'*+.^`|~-", min_size=1, max_size=12).map(lambda name: b"Own-" + name.encode())
VALUES = st.binary(max_size=40).map(lambda value: value.translate(None, CONTROLS))
LINES = st.builds(lambda name, value: b"%b: %b" % (name, value), NAMES, VALUES)
WELL_FORMED = st.builds(
    Request,
    METHODS,
    TARGETS,
    st.lists(LINES, max_size=6).map(tuple),
    st.lists(st.binary(min_size=1, max_size=50), max_size=5).map(tuple),
    st.booleans(),
)
# Lines that none may have, or none beside its own Host and its own length or coding.
BAD_LINES = st.sampled_from(
    [
        b"Host: example.test", b"host: other.test", b"Content-Length: 1", b"Content-Length: 0", b"content-length: +1",
        b"Transfer-Encoding: chunked", b"transfer-encoding: gzip", b"Transfer_Encoding: chunked", b"Content_Length: 1",
        b" folded", b"\tfolded", b"Own : 1", b"Own\t: 1", b"Own", b": 1", b"(Own): 1", b"\xc3\xa4: 1",
    ]
)  # fmt: skip


@composite
def _malformed(draw: DrawFn, among: SearchStrategy[Request]) -> Request:
    request = draw(among)
    match draw(st.sampled_from(["line", "value", "name", "target", "end"])):
        case "line":
            return replace(request, lines=_with(draw, request.lines, draw(BAD_LINES)))
        case "value":
            odd = _odd(draw, b"v", CONTROLS)
            return replace(request, lines=_with(draw, request.lines, b"Own: a%bb" % odd))
        case "name":
            odd = _odd(draw, b"n", CONTROLS + b' "(),/;<=>?@[\\]{}\t\x80\xff')
            return replace(request, lines=_with(draw, request.lines, b"Own%bn: 1" % odd))
        case "target":
            return replace(request, target=request.target + _odd(draw, b"t", CONTROLS + b' "#<>\t\x80\xff') + b"t")
        case _:
            return _with_bare_end(draw, request)


def _odd(draw: DrawFn, around: bytes, among: bytes) -> bytes:
    return around + bytes([draw(st.sampled_from(among))])


def _with(draw: DrawFn, lines: tuple[bytes, ...], line: bytes) -> tuple[bytes, ...]:
    at = draw(st.integers(0, len(lines)))
    return (*lines[:at], line, *lines[at:])


def _with_bare_end(draw: DrawFn, request: Request) -> Request:
    """One of its lines, but for the empty one, ends in half of what a line ends in."""
    lines = request.raw().partition(b"\r\n\r\n")[0].split(b"\r\n")
    at = draw(st.integers(1, len(lines)))
    ahead, behind = b"\r\n".join(lines[:at]), b"\r\n".join([*lines[at:], b"", b""])
    return replace(request, head=ahead + draw(st.sampled_from([b"\r", b"\n"])) + behind)


MALFORMED = _malformed(WELL_FORMED)
