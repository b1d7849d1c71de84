"""What of a request or a value may be seen: nothing that opens a door or names a person. No I/O.

A value is hidden when the name it goes by sounds like a secret, and part of a text when it looks like one. What is
kept is short, on one line, and free of characters that would steer a terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote_plus

KEPT: Final = 200  # characters of a value
READ: Final = 600  # characters of a text that are looked at: patterns cost time, and texts come from outside
TARGET: Final = 500
DEPTH: Final = 3
ITEMS: Final = 10
HIDDEN: Final = "[redacted]"

_TELLING: Final = (
    r"token|passw|passphrase|passcode|pwd|secret|auth(?!or(?!i[sz]))|cookie|credential|sess(?:ion|[-_]?id)|signature"
    r"|hmac|jwt|(?<![a-z])otp|[cx]srf|e[-_]?mail|(?:api|access|private)[-_]?key|(?<![a-z])(?:pass|pin|sid|sig)(?![a-z])"
)
_SECRET: Final = re.compile(_TELLING, re.IGNORECASE)
# In a body these are what things go by, and what went wrong; in an address they are sent to open a door.
_SECRET_IN_ADDRESS: Final = re.compile(rf"{_TELLING}|(?<![a-z_-])(?:key|code)(?![a-z])", re.IGNORECASE)
# Each alternative begins at a boundary, so that no text costs more than a pass over it. An @ may be encoded twice.
_LOOKS_SECRET: Final = re.compile(
    r"(?P<email>(?<![\w.+%'-])[\w.+%'-]+(?:@|%(?:25)*40)[\w.-]+)"
    r"|(?P<jwt>\beyJ[\w-]{8,}(?:\.[\w-]*){0,2})"
    r"|(?P<credentials>\b(?:Bearer|Basic)\s+[\w.~+/=-]+)"
    rf"|(?P<parameter>(?:^|(?<=[?&;#]))[^=&#?\s]{{0,64}}?(?:{_SECRET_IN_ADDRESS.pattern})[^=&#?\s]{{0,64}}=[^&#\s]+)"
    # A token, or the rest of one. An UUID opens nothing, nor does what ids and ETags are made of.
    r"|(?P<key>(?<![a-z0-9_-])(?!(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?![a-z0-9_-]))"
    r"(?:(?=[a-z_-]*[0-9])(?![0-9a-f]{32,39}(?![a-z0-9_-]))[a-z0-9_-]{32,}|[a-z0-9_-]{40,}))",
    re.IGNORECASE,
)


def tells_a_secret(name: str) -> bool:
    """Whether what goes by this name, be it a field, a header or a path to one, is likely to be secret."""
    return _SECRET.search(name) is not None


def lets_in(address: str) -> bool:
    """Whether an address, or one that is written within it, is likely to let in whoever has it: by a parameter, or by
    the segment behind a telling one."""
    once = unquote_plus(address)
    return any(map(_lets_in, {address, once, unquote_plus(once)}))


def _lets_in(address: str) -> bool:
    parts = re.split("[?&;#]", address)
    names = (part.partition("=")[0] for part in parts if "=" in part)
    steps = (step for part in parts for step in pairwise(part.split("/")))
    return any(map(_SECRET_IN_ADDRESS.search, names)) or any(
        after and tells_a_secret(before) for before, after in steps
    )


def line(text: str, most: int = KEPT) -> str:
    """A text from outside as it may be kept."""
    return _cut(_printable(_masked(text)), most)


def target(path: str, query: str) -> str:
    """A request's path and query, with the values of telling parameters hidden, and what follows a telling segment."""
    whole = _masked("/".join(_segments(path[:READ].split("/"))))
    if query:
        whole += "?" + "&".join(_parameter(part) for part in query[:READ].split("&"))
    return _cut(_printable(whole), TARGET)


def value(value: Any) -> str:
    """A value that may be seen: the beginning of its JSON."""
    return _cut(_printable(_json(value, DEPTH, secret=False)), KEPT)


def _segments(path: list[str]) -> Iterator[str]:
    for before, segment in pairwise(["", *path]):
        yield HIDDEN if segment and tells_a_secret(unquote_plus(before)) else segment


def _parameter(part: str) -> str:
    name, equals, given = part.partition("=")
    once = unquote_plus(given)
    if equals and (lets_in(part) or any(map(_LOOKS_SECRET.search, (once, unquote_plus(once))))):
        return f"{_masked(name)}={HIDDEN}"
    return _masked(part)


def _json(value: Any, depth: int, *, secret: bool) -> str:
    """The value as JSON, bounded in depth and width. Under a telling name all is hidden, however deep it lies."""
    match value:
        case None | bool():
            return json.dumps(value)
        case dict() | list() if not value or depth == 0:
            brackets = "{}" if isinstance(value, dict) else "[]"
            return f"{brackets[0]}…{brackets[1]}" if value else brackets
        case dict():
            parts = [_member(key, value[key], depth, secret=secret) for key in list(value)[:ITEMS]]
            return f"{{{_listed(parts, len(value))}}}"
        case list():
            parts = [_json(each, depth - 1, secret=secret) for each in value[:ITEMS]]
            return f"[{_listed(parts, len(value))}]"
        case _ if secret:
            return f'"{HIDDEN}"'
        case str():
            return json.dumps(_masked(value), ensure_ascii=False)
        case _:
            return str(value)


def _member(key: str, value: Any, depth: int, *, secret: bool) -> str:
    hidden = secret or tells_a_secret(key)
    return f"{json.dumps(_masked(key), ensure_ascii=False)}:{_json(value, depth - 1, secret=hidden)}"


def _listed(parts: list[str], count: int) -> str:
    return ",".join([*parts, "…"] if count > ITEMS else parts)


def _masked(text: str) -> str:
    return _LOOKS_SECRET.sub(_mask, text[:READ])


def _mask(found: re.Match[str]) -> str:
    if found["parameter"]:
        return f"{found[0].partition('=')[0]}={HIDDEN}"
    return HIDDEN


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
