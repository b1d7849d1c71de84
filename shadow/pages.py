"""What a page of HTML consists of. No I/O.

Nothing here mends a broken page: two pages are cut alike, by rules that hold for whole ones. No page makes a pattern
look at a character more than a few times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import unescape
from typing import Final

RAW: Final = ("script", "style", "textarea", "title")  # they hold no tags, and are one token with what they hold
AS_WRITTEN: Final = frozenset({"script", "style", "textarea", "pre"})  # their white space is shown, or means something

SHORT: Final = 64  # characters of a tag that may be remembered
DEEPEST: Final = 256  # elements in each other; what nests deeper counts as lying side by side

# What pages have most of comes first. An attribute with a < or > in its value ends its tag early, on both sides alike.
_RAW_TOKENS: Final = "|".join(rf"<{name}\b[^<>]*>.*?(?=</{name}|\Z)" for name in RAW)
_TOKEN: Final = re.compile(
    rf"[^<]+|</[a-z][^<>]*>|<(?!(?:{'|'.join(RAW)})\b)[a-z][^<>]*>|<!--.*?(?:-->|\Z)|{_RAW_TOKENS}|<![^<>]*>|<",
    re.IGNORECASE | re.DOTALL,
)
_TAG: Final = re.compile(r"<([a-z][^\s/<>]*)([^<>]*)>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
_SPACE: Final = re.compile(r"[ \t\n\f\r]+")
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "br", "button", "cite", "code", "data", "del", "dfn", "em", "i", "img", "input"}
    | {"ins", "kbd", "label", "mark", "output", "q", "s", "samp", "select", "small", "span", "strong", "sub", "sup"}
    | {"time", "u", "var", "wbr", "svg"}
)


def cut(page: str) -> list[str]:
    """The page's tags, comments and texts, as they are written."""
    return _TOKEN.findall(page)


def name(token: str) -> str:
    """A tag's name, with a slash before it where it closes; nothing for anything else."""
    return _short(token) if len(token) <= SHORT else _name(token)


def _name(token: str) -> str:
    if token.startswith("</"):
        return token[1:-1].rstrip().lower()
    found = _TAG.match(token)
    return found[1].lower() if found else ""


_short: Final = lru_cache(1024)(_name)  # a page has few kinds of tags, and thousands of each


def is_comment(token: str) -> bool:
    return token.startswith("<!--")


def attributes(token: str) -> Mapping[str, str]:
    """Those of a tag. The first of a name holds, as in browsers; a class is a set, and a flag is set by its name."""
    tag = _TAG.match(token)
    found: dict[str, str] = {}
    for written, *values in _ATTRIBUTE.findall(tag[2]) if tag else ():
        key, value = written.lower(), unescape("".join(values))
        if key == "class":
            value = " ".join(sorted(set(value.split())))
        found.setdefault(key, "" if value.lower() == key else value)
    return found


def held(token: str) -> str:
    """What an element without tags in it holds, as it is shown or run."""
    tag = _TAG.match(token)
    text = token[tag.end() :] if tag else ""
    match name(token):
        case "title":
            return closed(text, "", "")
        case "textarea":
            return unescape(text)
        case _:
            return text


def closed(text: str, before: str, after: str) -> str:
    """A text as it is shown between two tags: white space is one blank, and none beside what begins a line."""
    text = _SPACE.sub(" ", unescape(text))
    if before.lstrip("/") not in _INLINE:
        text = text.removeprefix(" ")
    return text if after.lstrip("/") in _INLINE else text.removesuffix(" ")


class Open:
    """The elements that are open, the outermost first: their names, and their tags as they are written."""

    __slots__ = ("_ends", "names", "tokens")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.tokens: list[str] = []
        self._ends = [""]  # what closes each of them, as most write it; no token is nothing

    def __len__(self) -> int:
        return len(self.tokens)

    def pass_by(self, tokens: Iterable[str]) -> None:
        names, written, ends = self.names, self.tokens, self._ends
        for token in tokens:
            if token == ends[-1]:
                del names[-1], written[-1], ends[-1]
            elif token[0] == "<":
                self._pass(token)

    def _pass(self, token: str) -> None:
        tag = name(token)
        if tag.startswith("/"):
            if tag[1:] in self.names:
                at = len(self.names) - 1 - self.names[::-1].index(tag[1:])
                del self.names[at:], self.tokens[at:], self._ends[at + 1 :]
        elif tag and tag not in _VOID and tag not in RAW and not token.endswith("/>") and len(self.names) < DEEPEST:
            self.names.append(tag)
            self.tokens.append(token)
            self._ends.append(f"</{tag}>")


def segments(token: str) -> list[str]:
    """How an element is named in a path: by its tag, and by its id or name if it has one."""
    told = attributes(token)
    mark = told.get("id") or told.get("name")
    return [name(token), mark] if mark else [name(token)]
