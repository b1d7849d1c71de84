"""The heads of two answers. No I/O.

A header is held against its namesake by what it means: Cache-Control is a set, a content type has parameters, a cookie
has a name and attributes, and its value is its own affair unless a rule asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import zip_longest
from typing import Final

from .encodings import content_encodings
from .observation import Observation
from .paths import HEADERS, bounded
from .result import Found, Kind
from .rules import Rules

COOKIES: Final = b"set-cookie"
WEAK: Final = b"W/"
HIDDEN: Final = "…"
# Attributes of cookies that browsers know. To what a flag is set says nothing.
FLAGS: Final = frozenset({"httponly", "partitioned", "secure"})
VALUED: Final = frozenset({"domain", "max-age", "path", "priority", "samesite"})

Meaning = Callable[[list[bytes]], object]
Alike = dict[tuple[str | None, str | None], str]  # cookies of one name, by domain and path (RFC 6265, 5.3)
_FOLDED: Final = re.compile(r"[,=\s]")  # in an attribute: behind it may stand another cookie, folded into the line


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
    for name in sorted(each for each in a.keys() | b.keys() if a.get(each) != b.get(each)):
        for there, back in _counterparts(a.get(name, {}), b.get(name, {})):
            if there != back:
                kind = Kind.EXTRA if there is None else Kind.MISSING if back is None else Kind.HEADER
                rule = rules.ignored_headers.get(COOKIES + b"." + name.lower().encode(), whole)
                yield Found(kind, there, back, _path(f"{COOKIES.decode()}.{name}"), rule)


def _counterparts(a: Alike, b: Alike) -> Iterator[tuple[str | None, str | None]]:
    """Cookies of one name: those that are one to a browser, and then the others as they come."""
    yield from ((a[key], b[key]) for key in a if key in b)
    yield from zip_longest(*([one[key] for key in one if key not in other] for one, other in ((a, b), (b, a))))


def _jar(seen: Observation, shown: frozenset[str], now: float) -> dict[str, Alike]:
    """Each cookie as far as it is compared. The last of those that are one is what a browser keeps."""
    jar: dict[str, Alike] = {}
    for line in seen.values(COOKIES):
        pair, *attributes = line.decode("latin-1").split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            name, value = "", name  # RFC 6265bis, 5.6
        told = dict(filter(None, (_attribute(each, now) for each in attributes)))
        text = "; ".join([f"{name}={value if name in shown else HIDDEN}", *sorted(told.values())])
        jar.setdefault(name, {})[told.get("domain"), told.get("path")] = text
    return jar


def _attribute(text: str, now: float) -> tuple[str, str] | None:
    """A cookie's attribute, its name and as it is told; None for what no browser knows. When it expires differs from
    one answer to the next, but not whether it does, or has."""
    given, equals, value = text.partition("=")
    name, value = given.strip().lower(), value.strip()
    if name == "expires":
        at = _moment(value)
        return name, name if at is None or at > now else f"{name}=past"
    if name in FLAGS:
        return name, name
    if name not in VALUED:
        return None
    told = _FOLDED.split(value, 1)[0]
    told = told if told == value else f"{told}{HIDDEN}"
    return name, f"{name}{equals}{told if name == 'path' else told.lower()}"


def _date(seen: Observation, now: float) -> float:
    """When an answer was given."""
    told = [_moment(value.decode("latin-1")) for value in seen.values(b"date")[:1]]
    return next((at for at in told if at is not None), now)


@lru_cache(maxsize=32)  # the cookies of both answers mostly expire at a few of them
def _moment(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _path(name: str) -> str:
    return bounded(f"{HEADERS}.{name}")
