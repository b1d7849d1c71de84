"""The heads of two answers. No I/O.

A header is held against its namesake by what it means: Cache-Control is a set, a content type has parameters, a cookie
has a name and attributes, and its value is its own affair unless a rule asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from .observation import Observation
from .paths import HEADERS
from .result import Found, Kind
from .rules import Rules

COOKIES: Final = b"set-cookie"
EPOCH: Final = "1970"  # the year by which a cookie is taken back
HIDDEN: Final = "…"

Meaning = Callable[[list[bytes]], object]


def differences(control: Observation, candidate: Observation, rules: Rules) -> Iterator[Found]:
    for name in sorted(rules.headers):
        if name == COOKIES:
            yield from _cookies(control, candidate, rules)
        # An ETag speaks of the bytes: where they differ it tells nothing new, and ignored fields would show up in it.
        # Where they are the same it is compared as strongly as can be: by a weak one nothing can be resumed (RFC 9110,
        # 13.1.5), so that to a client it is not the same as the strong one of the same name.
        elif name != b"etag" or (control.body and control.body == candidate.body):
            a, b = control.values(name), candidate.values(name)
            if a != b and (meaning := MEANING.get(name, _listed))(a) != meaning(b):
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


MEANING: Final[Mapping[bytes, Meaning]] = {b"content-type": _content_type, b"cache-control": _set, b"vary": _set}


def _cookies(control: Observation, candidate: Observation, rules: Rules) -> Iterator[Found]:
    """By name: whether it is set, with which attributes, and its value where the rules say so."""
    a, b = _jar(control, rules.cookies), _jar(candidate, rules.cookies)
    whole = rules.ignored_headers.get(COOKIES)
    for name in sorted(a.keys() | b.keys()):
        there, back = a.get(name), b.get(name)
        if there != back:
            kind = Kind.EXTRA if there is None else Kind.MISSING if back is None else Kind.HEADER
            rule = rules.ignored_headers.get(COOKIES + b"." + name.lower().encode(), whole)
            yield Found(kind, there, back, _path(f"{COOKIES.decode()}.{name}"), rule)


def _jar(seen: Observation, shown: frozenset[str]) -> dict[str, str]:
    """Each cookie as far as it is compared. The last of a name is the one that a browser keeps."""
    jar = {}
    for line in seen.values(COOKIES):
        pair, *attributes = line.decode("latin-1").split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        told = sorted(filter(None, map(_attribute, attributes)))
        jar[name] = "; ".join([f"{name}={value if name in shown else HIDDEN}", *told])
    return jar


def _attribute(text: str) -> str:
    """A cookie's attribute. When it expires differs from one answer to the next, but not whether it does, or has."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if name.lower() == "expires":
        return "expires=past" if EPOCH in value else "expires"
    return f"{name.lower()}{equals}{value if name.lower() == 'path' else value.lower()}"


def _path(name: str) -> str:
    return f"{HEADERS}.{name}"
