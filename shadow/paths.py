"""Where in a body a difference lies, and the patterns of rules. No I/O.

    data.updatedAt          a key in a key
    data[*].updatedAt       in every element of a list, or under every key of an object
    data[0].updatedAt       in one element
    data["odd key"].id      keys other than letters, digits, `_`, `-` and `$` are quoted as in JSON
    .                       the whole body

A pattern covers its place and everything beneath it. The path of any difference is a pattern as it stands, unless it is
too long to be told. At the top, `headers.etag` means the header; a key of the body named `headers` is written
`["headers"]`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

Segment = str | int | None  # a key, an index, or any of them
Pattern = tuple[Segment, ...]
# A path under way is a linked list that grows at its end: in a deep body a string at every step would cost its square.
Path = tuple["Path | None", str | int]

HEADERS: Final = "headers"
ROOT: Final = "."
LONGEST: Final = 500  # characters of a path that is told; keys come from outside, and so does how deep they lie
ABRIDGED: Final = "…"  # in a path that is longer; in no other: what is not ASCII is escaped
COVERED: Final[tuple[Pattern, ...]] = ((),)  # a pattern has ended: all that follows lies beneath it

_TOKEN: Final = re.compile(
    r'(?:^|(?!^)\.)(?P<key>[\w$-]+)|\[(?:(?P<any>\*)|(?P<index>0|[1-9][0-9]{0,8})|(?P<quoted>"(?:[^"\\]|\\.)*"))\]',
    re.ASCII,
)
_HEADER: Final = re.compile(r"headers\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")  # a token, RFC 9110, 5.6.2
_PLAIN: Final = re.compile(r"[\w$-]+", re.ASCII)
# Keys by which things are looked up, and not what they are called: numbers, also behind a word (`user_17`; but
# `line_2` is a name), UUIDs, ULIDs, digests, days, addresses of e-mail.
_ID: Final = (
    r"[0-9]+|[A-Za-z]{1,20}[_-][0-9]{2,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}"
    r"|[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
)
_ADDRESS: Final = r'(?:[^\s@"\\]|\\u[0-9a-f]{4})+@(?:[^\s@"\\]|\\u[0-9a-f]{4})+'
_ANY_ID: Final = re.compile(f"{_ID}|{_ADDRESS}")
_INDEX: Final = re.compile(
    rf'\[(?:[0-9]+|"(?:{_ID}|{_ADDRESS})")\]|(?P<name>\["(?:[^"\\]|\\.)*"\])|(?:^|\.)(?:{_ID})(?=[.\[]|$)',
    re.ASCII,
)
_KEY: Final = 64  # characters of a key whose meaning is remembered


def parse(rule: str) -> Pattern:
    """The place in the body that a rule describes. Raises ValueError, naming the rule and what cannot be read."""
    if rule == ROOT:
        return ()
    segments: list[Segment] = []
    at = 0
    while at < len(rule):
        token = _TOKEN.match(rule, at)
        if token is None or (at == 0 and token["key"] == HEADERS):
            raise _unreadable(rule, rule[at:])
        segments.append(_segment(rule, token))
        at = token.end()
    if not segments:
        raise _unreadable(rule, rule)
    return tuple(segments)


def header(rule: str) -> bytes | None:
    """The header a rule names; None if it speaks of the body."""
    found = _HEADER.fullmatch(rule)
    return found[1].lower().encode() if found else None


def render(path: Path | None) -> str:
    """The path as people read it, and so that no two fields are told alike. The whole body is the empty string.

    One that is too long is told without its indices, and what is too long even so is abridged: all places of a field
    alike, whatever their indices are.
    """
    segments: list[str | int] = []
    while path is not None:
        path, segment = path
        segments.append(segment)
    segments.reverse()
    text = "".join([_shown(segment, first=not at) for at, segment in enumerate(segments)])
    if len(text) <= LONGEST // 2:
        return text
    names = map(_named, segments)
    parts = ["[*]" if name is None else _shown(name, first=not at) for at, name in enumerate(names)]
    whole = "".join(parts)
    if len(whole) > LONGEST:
        return _abridged(parts, whole)
    return text if len(text) <= LONGEST else whole


def bounded(path: str) -> str:
    """A path that is text already."""
    return path if len(path) <= LONGEST else _abridged([path[: LONGEST // 2]], path)


def shape(path: Path | None) -> tuple[str | None, ...]:
    """The same for all places that are one field."""
    segments: list[str | None] = []
    while path is not None:
        path, segment = path
        segments.append(None if type(segment) is int else _named(segment))  # of an answer's differences, each asks
    return tuple(segments)


@lru_cache(maxsize=1024)
def field(path: str) -> str:
    """The place whatever its indices and ids: what differs in all elements of a list differs in one way, and so does
    what an object has under each id."""
    return path if path.startswith(f"{HEADERS}.") else _INDEX.sub(lambda found: found["name"] or "[*]", path)


def step(patterns: tuple[Pattern, ...], segment: str | int) -> tuple[Pattern, ...]:
    """What is left of the patterns, one step further down."""
    if not patterns or patterns is COVERED:
        return patterns
    left = tuple(p[1:] for p in patterns if p[0] in (None, segment))
    return COVERED if () in left else left


def _segment(rule: str, token: re.Match[str]) -> Segment:
    if token["any"]:
        return None
    if token["index"]:
        return int(token["index"])
    if token["key"]:
        return token["key"]
    try:
        return str(json.loads(token["quoted"]))
    except ValueError:
        raise _unreadable(rule, token["quoted"]) from None


def _shown(segment: str | int, *, first: bool) -> str:
    if isinstance(segment, int):
        return f"[{segment}]"
    if _PLAIN.fullmatch(segment) and not (first and segment == HEADERS):
        return segment if first else f".{segment}"
    return f"[{json.dumps(segment)}]"


def _named(segment: str | int) -> str | None:
    """What something is called here; None if this is but its number or its id."""
    if isinstance(segment, int):
        return None
    return _remembered(segment) if len(segment) <= _KEY else segment


@lru_cache(maxsize=4096)
def _remembered(key: str) -> str | None:
    return None if _ANY_ID.fullmatch(key) else key


def _abridged(parts: list[str], whole: str) -> str:
    """The beginning and the end of a path, and between them what tells it from all others."""
    digest = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    before = _fitting(parts)
    after = _fitting(reversed(parts[len(before) :]))
    return "".join((*before, ABRIDGED, digest, ABRIDGED, *reversed(after)))


def _fitting(parts: Iterable[str]) -> list[str]:
    """As many as may be told."""
    kept, left = [], LONGEST // 2
    for part in parts:
        left -= len(part)
        if left < 0:
            break
        kept.append(part)
    return kept


def _unreadable(rule: str, rest: str) -> ValueError:
    return ValueError(
        f"the place {rule!r} cannot be read at {rest!r}: "
        'write it like data.updatedAt, data[*].id or data["odd key"]; a header that is ignored, like headers.etag'
    )
