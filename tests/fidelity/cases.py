"""A case of fidelity: what a client sends, byte for byte, and what the origin plays. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fidelity.origin import OK
from tests.fidelity.wire import Script, Step, Whole

BIG = bytes(range(256)) * (10 * 4096)  # 10 MiB
BYTES = b"0123456789"
TE = b"Transfer-Encoding: chunked"
NOTHING = b"Content-Length: 0"


@dataclass(frozen=True, slots=True)
class Case:
    """`origin`: a script for each request. `left`: the client leaves first, so that nobody is there to be answered.
    `early`: the answer is complete before the upload is."""

    name: str
    client: Script
    origin: tuple[Script, ...] = (OK,)
    left: bool = False
    early: bool = False


def ask(line: str, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line.encode() + b" HTTP/1.1", b"Host: example.test", *headers, b"", body])


def answer(status: str, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status.encode(), *headers, b"", body])


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


def got(name: str, target: str, *headers: bytes) -> Case:
    """A GET that is answered 200: only the way there matters."""
    return Case(name, (ask(f"GET {target}", *headers),))


def given(name: str, *played: Step, method: str = "GET") -> Case:
    """A request without interest, and what the origin plays once it has it: only the way back matters."""
    return Case(name, (ask(f"{method} /given"),), ((Whole(), *played),))


def put(name: str, method: str, *headers: bytes, body: bytes) -> Case:
    return Case(name, (ask(f"{method} /put", *headers, body=body),))


def length(size: int) -> bytes:
    return b"Content-Length: %d" % size


def pieces(size: int) -> list[bytes]:
    return [BIG[at : at + size] for at in range(0, len(BIG), size)]
