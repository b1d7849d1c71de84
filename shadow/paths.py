"""Where in a body a difference lies, and the patterns of rules. No I/O.

    data.updatedAt          a key in a key
    data[*].updatedAt       in every element of a list
    data[0].updatedAt       in one element
    data["odd key"].id      keys other than letters, digits, `_`, `-` and `$` are quoted as in JSON

A pattern covers its place and everything beneath it. The path of any difference is a pattern as it stands.
At the top, `headers.etag` means the header; a key of the body named `headers` is written `["headers"]`.
"""

from __future__ import annotations

import json
import re
from typing import Final

Segment = str | int | None  # a key, an index, or any index
Pattern = tuple[Segment, ...]
# A path under way is a linked list that grows at its end: in a deep body a string at every step would cost its square.
Path = tuple["Path | None", str | int]

HEADERS: Final = "headers"
COVERED: Final[tuple[Pattern, ...]] = ((),)  # a pattern has ended: all that follows lies beneath it

_TOKEN: Final = re.compile(
    r'(?:^|(?!^)\.)(?P<key>[\w$-]+)|\[(?:(?P<any>\*)|(?P<index>0|[1-9][0-9]{0,8})|(?P<quoted>"(?:[^"\\]|\\.)*"))\]',
    re.ASCII,
)
_HEADER: Final = re.compile(r"headers\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")  # a token, RFC 9110, 5.6.2
_PLAIN: Final = re.compile(r"[\w$-]+", re.ASCII)
_INDEX: Final = re.compile(r'("(?:[^"\\]|\\.)*")|\[[0-9]+\]')


def parse(rule: str) -> Pattern:
    """The place in the body that a rule describes. Raises ValueError, naming the rule and what cannot be read."""
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
    """The path as people read it. The whole body is the empty string."""
    segments: list[str | int] = []
    while path is not None:
        path, segment = path
        segments.append(segment)
    parts = [_shown(segment, first=not at) for at, segment in enumerate(reversed(segments))]
    return "".join(parts)


def shape(path: Path | None) -> tuple[str | None, ...]:
    """The same for all places that are one field."""
    segments: list[str | None] = []
    while path is not None:
        path, segment = path
        segments.append(segment if isinstance(segment, str) else None)
    return tuple(segments)


def field(path: str) -> str:
    """The place whatever its indices: what differs in all elements of a list differs in one way."""
    return _INDEX.sub(lambda found: found[1] or "[*]", path)


def step(patterns: tuple[Pattern, ...], segment: str | int) -> tuple[Pattern, ...]:
    """What is left of the patterns, one step further down."""
    if not patterns or patterns is COVERED:
        return patterns
    left = tuple(p[1:] for p in patterns if p[0] == segment or (p[0] is None and isinstance(segment, int)))
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


def _unreadable(rule: str, rest: str) -> ValueError:
    return ValueError(
        f"the place {rule!r} cannot be read at {rest!r}: "
        'write it like data.updatedAt, data[*].id or data["odd key"]; a header that is ignored, like headers.etag'
    )
