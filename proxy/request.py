"""A question to a side: its head, and what that says about the body and about asking twice.  No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.headers import Header

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Request:
    """A request's head on the wire, and what `headers`, whose names are in lower case, say about its body."""

    __slots__ = ("chunked", "expects", "has_body", "head", "method", "repeatable")

    def __init__(self, method: str, head: bytes, headers: Iterable[Header]) -> None:
        self.method, self.head = method, head
        fields = dict(headers)
        self.chunked = b"transfer-encoding" in fields
        self.has_body = self.chunked or fields.get(b"content-length", b"0") != b"0"
        self.expects = b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
        self.repeatable = not self.has_body and method in SAFE

    @property
    def awaits_invitation(self) -> bool:
        return self.expects and self.has_body
