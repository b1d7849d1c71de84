"""Asking both sides the same thing, byte for byte, and what of their answers must agree."""

from __future__ import annotations

import hashlib
import http.client
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

LEGACY, NATIVE = "legacy", "native"

# Headers whose values, or presence, may differ, each with the reason. All others are on both sides or on neither.
NOT_COMPARED = {
    "date": "uvicorn writes it, puma leaves it to the server in front",
    "connection": "about the connection to the server asked, not about the answer",
    "content-length": "framing: Rails' bodies are streamed by puma, native knows their length",
    "transfer-encoding": "framing, as above",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and the status that it must have on both sides. `token` names one of `tokens.TOKENS`."""

    name: str
    status: int
    target: str
    method: str = "GET"
    token: str | None = "agent"
    body: bytes | None = None
    media_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def wire(self, authority: str, authorization: str | None, *, keep: bool = False) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {authority}"]
        if not keep:
            lines.append("Connection: close")
        if not any(name.lower() == "x-request-id" for name, _ in self.headers):
            lines.append("X-Request-Id: parity")
        if authorization is not None:
            lines.append(f"Authorization: {authorization}")
        if self.body is not None:
            lines.append(f"Content-Length: {len(self.body)}")
            if self.media_type is not None:
                lines.append(f"Content-Type: {self.media_type}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body or b"")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.body[:500]!r} {self.compared}"

    @property
    def compared(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name not in NOT_COMPARED}

    @property
    def tag_of_body(self) -> str:
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Sides:
    """Where both sides listen, and the values of `Authorization` by name."""

    ports: dict[str, int]
    authorizations: dict[str, str] = field(repr=False)
    forget: Callable[[], object] = field(default=tuple, repr=False)  # makes misses of all that is cached

    def ask(self, side: str, case: Case) -> Reply:
        """A client that normalises nothing: the target and the headers go out as the case has them."""
        authority = f"127.0.0.1:{self.ports[side]}"
        authorization = self.authorizations[case.token] if case.token is not None else None
        with socket.create_connection(("127.0.0.1", self.ports[side]), timeout=30) as connection:
            connection.sendall(case.wire(authority, authorization))
            response = http.client.HTTPResponse(connection, method=case.method)
            response.begin()
            body = response.read()
        headers = response.getheaders()
        names = [name.lower() for name, _ in headers]
        assert len(set(names)) == len(names), f"{side} repeats a header: {names}"
        return Reply(response.status, dict(zip(names, (value for _, value in headers), strict=True)), body)

    def compare(self, case: Case) -> None:
        """The same status, headers and bytes on both sides, and the status that the case is about."""
        legacy, native = self.both(case)
        answers = f"legacy answered {legacy}\nnative answered {native}"
        assert (native.status, native.body) == (legacy.status, legacy.body), answers
        assert native.compared == legacy.compared, answers
        assert legacy.status == case.status, answers

    def both(self, case: Case) -> tuple[Reply, Reply]:
        """Neither from the cache: a side that repeats what the other has kept there agrees with it in anything."""
        self.forget()
        legacy = self.ask(LEGACY, case)
        self.forget()
        return legacy, self.ask(NATIVE, case)
