"""The heads of two answers. No I/O.

A header is held against its namesake by what it means: Cache-Control is a set, a content type has parameters, a cookie
has a name and attributes, and its value is its own affair unless a rule asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from .encodings import content_encodings
from .observation import Observation
from .paths import HEADERS, bounded
from .result import Found, Kind
from .rules import Rules

COOKIES: Final = b"set-cookie"
WEAK: Final = b"W/"
HIDDEN: Final = "…"

Meaning = Callable[[list[bytes]], object]


def differences(control: Observation, candidate: Observation, rules: Rules, now: float = 0.0) -> Iterator[Found]:
    """`now`: in seconds since 1970, for answers that have no date."""
    for name in sorted(rules.headers):
        if name == COOKIES:
            yield from _cookies(control, candidate, rules, now)
            continue
        a, b = control.values(name), candidate.values(name)
        meaning = _etag(control, candidate) if name == b"etag" else MEANING.get(name, _listed)
        if a != b and meaning(a) != meaning(b):
            shown = [value.decode("latin-1") for value in a], [value.decode("latin-1") for value in b]
            yield Found(Kind.HEADER, *shown, _path(name.decode()), rules.ignored_headers.get(name))


def parameters(value: bytes) -> list[str]:
    """A Content-Type's parts as far as they mean something: case, blanks and quotes around a charset do not."""
    media, *rest = value.decode("latin-1").lower().split(";")
    return [media.strip(), *sorted(part.strip().replace('"', "").replace(" ", "") for part in rest if part.strip())]


def _listed(values: list[bytes]) -> object:
    return [value.strip() for value in values]


def _content_type(values: list[bytes]) -> object:
    return [parameters(value) for value in values]


def _set(values: list[bytes]) -> object:
    """Order, case and blanks do not matter (RFC 9111, 5.2 and 4.1)."""
    return sorted(part.strip().lower() for part in b",".join(values).split(b",") if part.strip())


def _etag(control: Observation, candidate: Observation) -> Meaning:
    """By what two ETags are held against each other.

    They speak of the bytes. Where these are the same they are compared as strongly as can be: by a weak one nothing can
    be resumed (RFC 9110, 13.1.5). Where they differ their values tell nothing new, and ignored fields would show up in
    them; but that there is one, and whether it is weak, matters there, too. Who compresses an answer may weaken it.
    """
    if control.body and control.body == candidate.body:
        return _listed
    if control.status != candidate.status:
        return lambda values: None
    if content_encodings(control) != content_encodings(candidate):
        return bool
    return lambda values: [value.strip().startswith(WEAK) for value in values]


MEANING: Final[Mapping[bytes, Meaning]] = {b"content-type": _content_type, b"cache-control": _set, b"vary": _set}


def _cookies(control: Observation, candidate: Observation, rules: Rules, now: float) -> Iterator[Found]:
    """By name: whether it is set, with which attributes, and its value where the rules say so."""
    a, b = (_jar(each, rules.cookies, _date(each, now)) for each in (control, candidate))
    whole = rules.ignored_headers.get(COOKIES)
    for name in sorted(a.keys() | b.keys()):
        there, back = a.get(name), b.get(name)
        if there != back:
            kind = Kind.EXTRA if there is None else Kind.MISSING if back is None else Kind.HEADER
            rule = rules.ignored_headers.get(COOKIES + b"." + name.lower().encode(), whole)
            yield Found(kind, there, back, _path(f"{COOKIES.decode()}.{name}"), rule)


def _jar(seen: Observation, shown: frozenset[str], now: float) -> dict[str, str]:
    """Each cookie as far as it is compared. The last of a name is the one that a browser keeps."""
    jar = {}
    for line in seen.values(COOKIES):
        pair, *attributes = line.decode("latin-1").split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        told = sorted(filter(None, (_attribute(each, now) for each in attributes)))
        jar[name] = "; ".join([f"{name}={value if name in shown else HIDDEN}", *told])
    return jar


def _attribute(text: str, now: float) -> str:
    """A cookie's attribute. When it expires differs from one answer to the next, but not whether it does, or has."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if name.lower() == "expires":
        at = _moment(value)
        return "expires" if at is None or at > now else "expires=past"
    return f"{name.lower()}{equals}{value if name.lower() == 'path' else value.lower()}"


def _date(seen: Observation, now: float) -> float:
    """When an answer was given."""
    told = [_moment(value.decode("latin-1")) for value in seen.values(b"date")[:1]]
    return next((at for at in told if at is not None), now)


def _moment(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _path(name: str) -> str:
    return bounded(f"{HEADERS}.{name}")
