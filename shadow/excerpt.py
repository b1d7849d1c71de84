"""A value as a mismatch keeps it: what kind of thing it is, how long, and a digest; itself only where that was allowed.

The digest is salted, so that equal values can be told and nothing can be read back by trying. What tells no value, such
as a status or how a side failed, is seen. No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from . import redact
from .compare import Difference, Kind
from .normalize import Form
from .paths import ABRIDGED, COVERED, HEADERS, Pattern, header, parse, step
from .shown import TYPES, Beginning, fingerprint

DIGEST: Final = 5  # bytes: two different values of one salt look alike once in 10 ** 12
SALT: Final = 16  # bytes
ABSENT: Final = "absent"

_COOKIE: Final = f"{HEADERS}.set-cookie."
_FORMS: Final = frozenset(form.value for form in Form)  # of two bodies that are not of one
_OPEN_KINDS: Final = frozenset({"status", "error", "length", "write"})  # what they tell is no value of anybody
_OPEN_HEADERS: Final = frozenset(
    {f"{HEADERS}.{name}" for name in ("cache-control", "content-encoding", "content-type", "vary")}
)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`length`: characters, items or keys. `digest`: None for what is too large. A secret has its type alone."""

    type: str
    length: int | None = None
    digest: str | None = None
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """The fields of a route whose values may be seen. What is secret stays hidden, whatever they say."""

    patterns: tuple[Pattern, ...] = ()
    headers: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, fields: Iterable[str]) -> Shown:
        """As configuration writes them, in the grammar of ignore rules. Raises ValueError, naming the field."""
        patterns: list[Pattern] = []
        headers: set[str] = set()
        for field in fields:
            name = header(field)
            if name is not None:
                headers.add(f"{HEADERS}.{name.decode()}")
                continue
            try:
                patterns.append(parse(field))
            except ValueError:
                words = f'"{field}" is no field; write one like data.status, data[*].id or headers.location'
                raise ValueError(words) from None
        return cls(tuple(patterns), frozenset(headers))

    def covers(self, path: str) -> bool:
        if header(path) is not None:
            return path in self.headers
        left = COVERED if () in self.patterns else self.patterns
        try:
            for segment in parse(path) if path and left else ():
                left = step(left, segment)  # type: ignore[arg-type]  # a difference's path has no wildcards
        except ValueError:  # no path of a body
            return False
        return left is COVERED


EVERYTHING_HIDDEN: Final = Shown()


def excerpts(found: Difference, salt: bytes, shown: Shown = EVERYTHING_HIDDEN) -> tuple[Excerpt, Excerpt]:
    """Both values of a difference, as they may be kept."""
    # What a path that is abridged leaves out may tell of a secret.
    kind, secret = str(found.kind.value), ABRIDGED in found.path or redact.tells_a_secret(found.path)
    seen = not secret and (kind in _OPEN_KINDS or found.path in _OPEN_HEADERS or shown.covers(found.path))
    return (
        Excerpt(ABSENT) if found.kind is Kind.EXTRA else _excerpt(found.control, found.path, salt, secret, seen),
        Excerpt(ABSENT) if found.kind is Kind.MISSING else _excerpt(found.candidate, found.path, salt, secret, seen),
    )


def _excerpt(told: Any, path: str, salt: bytes, secret: bool, seen: bool) -> Excerpt:
    value = told.value if isinstance(told, Beginning) else told
    kind = TYPES.get(type(value), type(value).__name__)
    if path.startswith(_COOKIE) and isinstance(value, str):
        return Excerpt("cookie", shown=redact.line(value.partition("; ")[2]))  # its attributes
    if secret:
        return Excerpt(f"secret {kind}")
    if seen or value is None or (not path and isinstance(value, str) and value in _FORMS):
        return Excerpt(kind, shown=redact.value(value))
    if isinstance(told, Beginning):
        return Excerpt(kind, told.length, _salted(told.fingerprint, salt))
    return Excerpt(kind, len(value) if isinstance(value, str | list | dict) else None, digest(value, salt))


def digest(value: Any, salt: bytes) -> str | None:
    """Equal for equal values, be they written in another order; None of what is too large."""
    return _salted(fingerprint(value), salt)


def _salted(told: bytes | None, salt: bytes) -> str | None:
    return None if told is None else hashlib.blake2b(told, key=salt, digest_size=DIGEST).hexdigest()
