"""Whose request it is: the value that keeps a user on one side.  No I/O."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

LONGEST_TOKEN = 8192  # bytes; what is longer than any header a server accepts is not looked into

Kind = Literal["jwt", "header", "cookie", "address"]
Headers = Iterable[tuple[bytes, bytes]]
Found = tuple[str, int]  # a subject, and the place of its source among all

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")  # RFC 9110 §5.6.2: names of headers and cookies


@dataclass(frozen=True, slots=True)
class Source:
    """One place where a subject may be found."""

    kind: Kind
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Source:
        kind, _, name = text.partition(":")
        match kind:
            case "address" if text == "address":
                return cls("address")
            case "jwt" if name:
                return cls("jwt", name)
            case "header" | "cookie" if _TOKEN.fullmatch(name):
                return cls("header" if kind == "header" else "cookie", name)
        raise ValueError(f'"{text}" is no subject; write jwt:CLAIM, header:NAME, cookie:NAME or address')

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


ADDRESS = Source("address")


class Subject:
    """Finds the subject of a request: the first source that has a value, else the client's address.

    Values carry no mark of their source: the bucket of a user must be the one that Unleash computes for the same id.
    `sources` are all of them: the address, which remains if nothing else is found, is the last.
    """

    __slots__ = ("sources",)

    def __init__(self, sources: Sequence[Source]) -> None:
        end = sources.index(ADDRESS) if ADDRESS in sources else len(sources)
        self.sources = (*sources[:end], ADDRESS)  # nobody gets past an address

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Subject:
        return cls([Source.parse(text) for text in texts])

    def of(self, headers: Sequence[tuple[bytes, bytes]], client_address: str) -> str:
        return self.find(headers, client_address)[0]

    def find(self, headers: Sequence[tuple[bytes, bytes]], client_address: str) -> Found:
        for place, source in enumerate(self.sources):
            found = ""
            match source.kind:
                case "jwt":
                    found = _bearer_claim(headers, source.name)
                case "header":
                    found = _text(_first(headers, source.name.lower().encode()))
                case "cookie":
                    found = _cookie(headers, source.name.encode() + b"=")
            if found:
                return found, place
        return client_address, len(self.sources) - 1


def _first(headers: Headers, wanted: bytes) -> bytes:
    size = len(wanted)
    for name, value in headers:
        if len(name) == size and name.lower() == wanted:
            return value
    return b""


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("utf-8", "replace")


def _cookie(headers: Headers, prefix: bytes) -> str:
    """The first cookie of that name, as Rack reads it; a client may send several Cookie headers (RFC 9113 §8.2.3)."""
    for name, value in headers:
        if len(name) == 6 and name.lower() == b"cookie" and prefix in value:
            for pair in value.split(b";"):
                pair = pair.strip(b" \t")
                if pair.startswith(prefix) and len(pair) > len(prefix):
                    return _text(pair[len(prefix) :])
    return ""


def _bearer_claim(headers: Headers, claim: str) -> str:
    scheme, _, token = _first(headers, b"authorization").partition(b" ")
    if scheme.lower() != b"bearer" or len(token) > LONGEST_TOKEN:
        return ""
    parts = token.strip(b" ").split(b".")
    return _claim(parts[1], claim) if len(parts) == 3 else ""


@lru_cache(maxsize=1024)
def _claim(payload: bytes, claim: str) -> str:
    """A claim of a token's payload, "" if it cannot be had.

    The signature is not verified: this decides which side answers, not what it may answer, and each side refuses a
    forged token by itself. The cache is keyed by the payload alone, so that it never holds a usable token.
    """
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        value = claims.get(claim) if isinstance(claims, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str):
            value.encode()  # "\ud800" is valid JSON, but no text that could be hashed
            return value
    except (ValueError, RecursionError):  # not base64, not UTF-8, not JSON, nested to exhaustion
        pass
    return ""
