"""What of a request or a value may be seen: nothing that opens a door or names a person. No I/O.

A value is hidden when the name it goes by sounds like a secret, and part of a text when it looks like one. What is
kept is short, on one line, and free of characters that would steer a terminal.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote_plus

from .paths import ABRIDGED, HEADERS

KEPT: Final = 200  # characters of a value
READ: Final = 600  # characters of a text that are looked at: patterns cost time, and texts come from outside
TARGET: Final = 500
DEPTH: Final = 3
ITEMS: Final = 10
HIDDEN: Final = "[redacted]"

_TELLING: Final = (  # what it begins with comes first: few places of a text get past that
    r"(?=[2abcehjmoprstvx])(?:token|passw|passphrase|passcode|pwd|secret|auth(?!or(?!i[sz]))|cookie|credential"
    r"|sess(?:ion|[-_]?id)|signature|hmac|jwt|bearer|[cx]srf|e[-_]?mail|(?:api|access|private)[-_]?key"
    r"|(?:recovery|backup|security|verification|mfa|[2t]fa)[-_]?code"
    r"|(?<![a-z])(?:t?otp|pin[-_]?code|(?:pass|pin|sid|sig)(?![a-z]))"
    r"|(?-i:(?<=[a-z])(?:Pass|Pin|PIN|Sid|Sig|Otp|Totp|T?OTP)(?![a-z])))"
)
_SECRET: Final = re.compile(_TELLING, re.IGNORECASE)
# In a body these are what things go by, and what went wrong; in an address they are sent to open a door.
_SECRET_IN_ADDRESS: Final = re.compile(rf"{_TELLING}|(?<![a-z_-])(?:key|code)(?![a-z])", re.IGNORECASE)
# Each alternative begins at a boundary, so that no text costs more than a pass over it. An @ may be encoded twice.
_LOOKS_SECRET: Final = re.compile(
    r"""(?P<email>(?:(?<![\w.+%'-])[\w.+%'-]+|"[^"@]{1,64}")(?:@|%(?:25)*40)[\w.-]+)"""
    r"|(?P<jwt>\beyJ[\w-]{8,}(?:\.[\w-]*){0,2})"
    r"|(?P<credentials>\b(?:(?:Bearer|Basic)\s+[\w.~+/=-]+|Token\s+(?=\S*[0-9=])\S+))"
    rf"|(?P<parameter>(?:^|(?<=[?&;#]))[^=&#?\s]{{0,64}}?(?:{_SECRET_IN_ADDRESS.pattern})[^=&#?\s]{{0,64}}=[^&#\s]+)"
    # A token, or the rest of one. An UUID opens nothing, nor does what ids and ETags are made of.
    r"|(?P<key>(?<![a-z0-9_-])(?!(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?![a-z0-9_-]))"
    r"(?:(?=[a-z_-]*[0-9])(?![0-9a-f]{32,39}(?![a-z0-9_-]))[a-z0-9_-]{32,}|[a-z0-9_-]{40,}))",
    re.IGNORECASE,
)
# Amid a text: `password: x`, `"password":"x"`. A list or an object has no end that a pattern could find.
_NAMED: Final = re.compile(r"(?<![\w-])(?P<name>[\w-]++)[\\\"']*\s*[:=]\s*")
_GIVEN: Final = re.compile(
    rf"""(?!{re.escape(HIDDEN)})(?:\\*"[^"]*"?|'[^']*'?|[\[{{].*|(?:(?:Bearer|Basic|Digest|Token)\s+)?\S+)""",
    re.IGNORECASE | re.DOTALL,
)
_SLASHES: Final = re.compile("((?:/|%(?:25)*2F)+)", re.IGNORECASE)
_BOUND: Final = re.compile(r"[\s\"<>?#]")  # what a path within a text begins and ends at
_SEGMENT: Final = re.compile(r"\A[^\s\"<>?#]+")
# Where a text was cut. What a secret is known by may have been cut off: in front anything, behind the rest of a word.
_TORN_BEFORE: Final = re.compile(rf"\A{ABRIDGED}[!-~]*+")
_TORN_AFTER: Final = re.compile(rf"(?<![\w.+%'@-])[\w.+%'@-]*+{ABRIDGED}\Z")
_KEY: Final = re.compile(rf'\[[0-9*]+\]|(?P<key>[\w$-]+|"(?:[^"\\]|\\.)*"?)|{ABRIDGED}')
# Words, and a number behind them: `expiresAt`, `address2`. One in thousands of random tokens of 24 characters, too.
_WORD: Final = "(?>[A-Z]?[a-z]+(?:[A-Z][a-z]+){0,4}[A-Z]{0,3}|[A-Z]+)"
_A_NAME: Final = re.compile(rf"(?=.{{1,40}}\Z)[_$]{{0,2}}{_WORD}(?:[ _-]{_WORD}){{0,5}}[0-9]{{0,3}}")


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
    steps = (step for part in parts for step in pairwise(filter(None, part.split("/"))))
    return any(map(_SECRET_IN_ADDRESS.search, names)) or any(tells_a_secret(before) for before, _ in steps)


def line(text: str, most: int = KEPT) -> str:
    """A text from outside as it may be kept."""
    return _cut(_printable(_masked(text)), most)


def target(path: str, query: str) -> str:
    """A request's path and query, with the values of telling parameters hidden, and what follows a telling segment."""
    whole = _masked(path)
    if query:
        parts = query[:READ].split("&")
        if len(query) > READ:
            parts[-1] = ABRIDGED  # half a parameter tells not what it holds
        whole += "?" + "&".join(map(_parameter, parts))
    return _cut(_printable(whole), TARGET)


@lru_cache(maxsize=1024)
def place(path: str) -> str:
    """The path of a field. Below a telling name a key may be the secret: there only what reads like a name is kept, in
    a body; a header's is its name."""
    if path.startswith(f"{HEADERS}.") or not (ABRIDGED in path or tells_a_secret(path)):
        return line(path)
    told, end, below = [], 0, False
    for found in _KEY.finditer(path):
        key = found["key"]
        told += [path[end : found.start()], found[0] if key is None or not below else _key(key)]
        end, below = found.end(), below or found[0] == ABRIDGED or tells_a_secret(found[0])
    return line("".join([*told, path[end:]]))


def value(value: Any) -> str:
    """A value that may be seen: the beginning of its JSON."""
    return _cut(_printable(_json(value, DEPTH, secret=False)), KEPT)


def _key(key: str) -> str:
    """A key below a telling name, quoted or not."""
    if _A_NAME.fullmatch(key.strip('"')):
        return key
    return f'"{HIDDEN}"' if key.startswith('"') else HIDDEN


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
            parts = [_member(key, value[key], depth, below=secret) for key in list(value)[:ITEMS]]
            return f"{{{_listed(parts, len(value))}}}"
        case list():
            parts = [_json(each, depth - 1, secret=secret) for each in value[:ITEMS]]
            return f"[{_listed(parts, len(value))}]"
        case _ if secret:
            return f'"{HIDDEN}"'
        case str():
            return json.dumps(_worded(value), ensure_ascii=False)
        case _:
            return str(value)


def _member(key: str, value: Any, depth: int, *, below: bool) -> str:
    """`below`: a telling name."""
    name = json.dumps(HIDDEN if below and not _A_NAME.fullmatch(key) else _masked(key), ensure_ascii=False)
    return f"{name}:{_json(value, depth - 1, secret=below or tells_a_secret(key))}"


def _listed(parts: list[str], count: int) -> str:
    return ",".join([*parts, "…"] if count > ITEMS else parts)


def _worded(text: str) -> str:
    """A text that is a value: it may have been cut in front, and in words it may say what is secret."""
    text = _masked(_TORN_BEFORE.sub(ABRIDGED, _read(text)))
    told, end = "", 0
    for found in _NAMED.finditer(text):
        if found.start() >= end and tells_a_secret(found["name"]) and (given := _GIVEN.match(text, found.end())):
            told += text[end : found.end()] + HIDDEN
            end = given.end()
    return told + text[end:]


def _masked(text: str) -> str:
    return _LOOKS_SECRET.sub(_mask, _stepped(_read(text)))


def _read(text: str) -> str:
    """As much of a text as is looked at, without half a word at its end, be it cut here or where it comes from."""
    if len(text) > READ:
        text = text[:READ] + ABRIDGED
    return _TORN_AFTER.sub(ABRIDGED, text) if len(text) > KEPT else text


def _stepped(text: str) -> str:
    """With each segment hidden that follows a telling one, wherever in the text the path stands."""
    parts = _SLASHES.split(text)  # segments, and what divides them
    for at in range(len(parts) - 1, 1, -2):
        host = at >= 4 and parts[at - 3] == "//" and parts[at - 4].endswith(":")
        if not host and tells_a_secret(unquote_plus(_BOUND.split(parts[at - 2])[-1])):
            parts[at] = _SEGMENT.sub(HIDDEN, parts[at])
    return "".join(parts)


def _mask(found: re.Match[str]) -> str:
    if found["parameter"]:
        return f"{found[0].partition('=')[0]}={HIDDEN}"
    return HIDDEN


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
