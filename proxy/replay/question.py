"""Which requests of a file are asked again, and which headers of theirs. No I/O.

A file holds what other people sent: their cookies and tokens are not used unless that is said, and nothing that came
from outside can end a line of a request or choose where it goes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from proxy.headers import HOP_BY_HOP, Header
from proxy.routes import METHODS, RouteTable
from proxy.strict import fault
from shadow.eligibility import SAFE
from shadow.mismatch import CONDITIONS, SCHEME
from shadow.redact import HIDDEN, lets_in

HTTP, HTTPS = "http", "https"
AT_ONCE: Final = 1_000

# What an answer may depend on and nobody is known by; of the rest nobody can tell what is a credential.
_HARMLESS: Final = CONDITIONS | {"access-control-request-headers", "access-control-request-method", "origin"}
# Of the connection that they came on, of a body that is not sent, or ids that belong to another request.
_OVER: Final = re.compile(r"host|content-.*|expect|forwarded|x-forwarded-.*|x-real-ip|via|x-request-id|trace.*|:.*")
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<host>[^/?#]*)(?P<rest>[^#]*))?.*", re.DOTALL)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # §5.5: no line ends here


class Reason(enum.Enum):
    """Why a request of a file is not asked."""

    UNSAFE = "unsafe"
    NO_ROUTE = "no_route"
    OTHER_ROUTE = "other_route"
    OTHER_HOST = "other_host"
    SPARED = "spared"
    NOT_HTTP = "not_http"
    SECRET = "secret"  # noqa: S105  # a word
    REDACTED = "redacted"
    WITHHELD = "withheld"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as a file has it. `number`: of its line, or entry. `target`: a path, or a whole URL. `withheld`:
    headers that were there, of which the file has the names alone."""

    number: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Skipped:
    number: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Question:
    """What both sides are asked. `scheme`: by which the user came, as far as the file tells."""

    route: str
    method: str
    target: bytes
    headers: tuple[Header, ...]
    scheme: str = HTTP


@dataclass(frozen=True, slots=True)
class Choice:
    """`only`: routes, none for all of them. `spared`: routes that none but users may ask legacy. `host`: whose requests
    are meant, where a file tells of several hosts. `given`: headers that are sent whatever the file has."""

    table: RouteTable
    only: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    host: str | None = None
    send_credentials: bool = False
    given: frozenset[str] = frozenset()

    def __call__(self, recorded: Recorded) -> Question | Skipped:
        scheme, host, target = _parts(recorded.target)
        if scheme not in (HTTP, HTTPS):
            return Skipped(recorded.number, Reason.NOT_HTTP)
        reason = self._why_not(recorded.method, host, target)
        if reason is not None:
            return Skipped(recorded.number, reason)
        route = self.table.match(recorded.method, target)
        if route is None:
            return Skipped(recorded.number, Reason.NO_ROUTE)
        if self.only and route.name not in self.only:
            return Skipped(recorded.number, Reason.OTHER_ROUTE)
        if route.name in self.spared:
            return Skipped(recorded.number, Reason.SPARED)
        headers = tuple(self._sent(recorded.headers))
        if any(HIDDEN.encode() in value for _, value in headers):
            return Skipped(recorded.number, Reason.REDACTED)
        if not recorded.withheld <= self.given:
            return Skipped(recorded.number, Reason.WITHHELD)
        said = next((value for name, value in recorded.headers if name.lower() == SCHEME), scheme)
        if said.partition(",")[0].strip() == HTTPS:  # what it came by to the first of several proxies
            scheme = HTTPS
        return Question(route.name, recorded.method, target.encode("ascii"), headers, scheme)

    def _why_not(self, method: str, host: str | None, target: str) -> Reason | None:
        if HIDDEN in target:
            return Reason.REDACTED
        if method not in METHODS or not _is_sound(method, target):
            return Reason.MALFORMED
        if method not in SAFE:
            return Reason.UNSAFE
        if None not in (self.host, host) and host != self.host:
            return Reason.OTHER_HOST
        return Reason.SECRET if not self.send_credentials and lets_in(target) else None

    def _sent(self, headers: Collection[tuple[str, str]]) -> Iterator[Header]:
        for given, value in headers:
            name = given.lower()
            wanted = name in _HARMLESS or (self.send_credentials and not _is_over(name))
            if wanted and is_header(name, value):
                yield name.encode("ascii"), value.encode("latin-1")


def choices(choice: Choice, readings: Iterable[Recorded | Skipped]) -> Iterator[list[Question | Skipped]]:
    """What is made of each, a few at a time; a question waits for no others."""
    few: list[Question | Skipped] = []
    for reading in readings:
        few.append(choice(reading) if isinstance(reading, Recorded) else reading)
        if isinstance(few[-1], Question) or len(few) == AT_ONCE:
            yield few
            few = []
    if few:
        yield few


def is_header(name: str, value: str) -> bool:
    return bool(_NAME.fullmatch(name) and _VALUE.fullmatch(value))


def _is_over(name: str) -> bool:
    return name.encode("utf-8", "replace") in HOP_BY_HOP or _OVER.fullmatch(name) is not None


def _parts(target: str) -> tuple[str, str | None, str]:
    """Scheme, host and path of what was asked for."""
    if target.startswith("/") or target == "*":
        return HTTP, None, target.partition("#")[0]
    url = _URL.fullmatch(target)
    if url is None:
        return HTTP, None, target
    rest = url["rest"] or ""
    path = rest if rest.startswith("/") else f"/{rest}"
    return url["scheme"].lower(), (url["host"] or "").rpartition("@")[2].lower(), path


def _is_sound(method: str, target: str) -> bool:
    """As the proxy would take it from a user."""
    if not (target and target.isascii()):
        return False
    return fault("1.1", method.encode("ascii"), target.encode("ascii"), [(b"host", b"localhost")]) is None
