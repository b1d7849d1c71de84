"""What a page of HTML consists of. No I/O.

Nothing here mends a broken page: two pages are cut alike, by rules that hold for whole ones. No page makes a pattern
look at a character more than a few times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Final

RAW: Final = ("script", "style", "textarea", "title")  # what they hold is no tags, whatever it looks like
START: Final = "!---->"  # what a page begins with has no tag before it: it follows a comment that says nothing

_COMMENT, _DOCTYPE = "!--", "!doctype"
_ABRUPT, _COMMENT_END = re.compile("-?>"), re.compile("--!?>")  # the former where nothing comes before it
# An attribute with a < in its value ends its tag early, on both sides alike.
_TAG: Final = re.compile(r"(/?[a-zA-Z][^ \t\n\f\r/<>]*)([^<>]*)>")
_QUOTING: Final = re.compile(r"""(/?[a-zA-Z][^ \t\n\f\r/<>]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>""")
# The beginning of what may hold a < that opens nothing.
_WHOLE: Final = re.compile(rf"<(?:{_COMMENT}|((?i:{'|'.join(RAW)}))(?=[ \t\n\f\r/>])[^<>]*>)", re.ASCII)
_CLOSING: Final = {name: re.compile(rf"</(?i:{name})", re.ASCII) for name in RAW}
_ATTRIBUTE: Final = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
_SPACE: Final = " \t\n\f\r"
_SPACES: Final = re.compile(rf"[{_SPACE}](?:[{_SPACE}]+|(?<! ))")  # but a single blank
_INLINE_ELEMENTS: Final = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "br", "button", "cite", "code", "data", "del", "dfn", "em", "i", "img", "input"}
    | {"ins", "kbd", "label", "mark", "output", "q", "s", "samp", "select", "small", "span", "strong", "sub", "sup"}
    | {"time", "u", "var", "wbr", "svg", "math", "embed", "map", "picture", "ruby", "slot"}
    | {"acronym", "big", "font", "nobr", "strike", "tt"}  # of old
)
_BOXES: Final = frozenset(  # which lie in a line as well, but what is written in them is not shown there
    {"audio", "canvas", "iframe", "meter", "object", "progress", "textarea", "video"}
)
_INLINE: Final = _INLINE_ELEMENTS | {f"/{name}" for name in _INLINE_ELEMENTS}
_BEFORE: Final = _INLINE | {f"/{name}" for name in _BOXES}
_AFTER: Final = _INLINE | _BOXES
_FLAGS: Final = frozenset(  # attributes that are set by being there
    {"allowfullscreen", "async", "autofocus", "autoplay", "checked", "controls", "default", "defer", "disabled"}
    | {"formnovalidate", "hidden", "inert", "ismap", "itemscope", "loop", "multiple", "muted", "nomodule", "novalidate"}
    | {"open", "playsinline", "readonly", "required", "reversed", "selected"}
)
_SHOWS_SPACE: Final = re.compile("<pre", re.IGNORECASE)


def cut(page: str) -> list[str]:
    """The page parted at every `<`, which is left out; comments and elements that hold no tags stay whole."""
    pieces, since = [START], 0
    while whole := _WHOLE.search(page, since):
        _part(pieces, page[since : whole.start()])
        since = _end(page, whole)
        pieces.append(page[whole.start() + 1 : since])
    _part(pieces, page[since:])
    return pieces


def _end(page: str, whole: re.Match[str]) -> int:
    """Where a comment or an element that holds no tags ends: with the page, if nothing ends it."""
    if whole[1]:
        closing = _CLOSING[whole[1].lower()].search(page, whole.end())
        return closing.start() if closing else len(page)
    return _behind(page, whole.end())


def _behind(text: str, at: int) -> int:
    """Where the comment ends of which the text begins here."""
    end = _ABRUPT.match(text, at) or _COMMENT_END.search(text, at)
    return end.end() if end else len(text)


def _part(pieces: list[str], text: str) -> None:
    """Add what follows the last piece."""
    first, *rest = text.split("<")
    pieces[-1] += first
    pieces += rest


def read(piece: str) -> tuple[str, str, str]:
    """A tag's name, with a slash before it where it closes, its attributes as they are written, and the text after it,
    or what the element holds if that is no tags. A comment and a bare `<` have no name."""
    if tag := _TAG.match(piece):
        if tag[2].count('"') % 2 or tag[2].count("'") % 2:  # it may have ended within a value
            tag = _QUOTING.match(piece) or tag
        return tag[1].lower(), tag[2], piece[tag.end() :]
    if piece.startswith(_COMMENT):
        return "", "", piece[_behind(piece, len(_COMMENT)) :]
    if piece.startswith("!"):  # it begins a line, and is compared as a text
        kind, closed, text = piece.partition(">")
        if (lower := kind.lower()).startswith(_DOCTYPE):
            kind = lower
        return "", "", f"<{kind}{closed}{text.lstrip(_SPACE)}"
    return "", "", f"<{piece}"


def attributes(written: str) -> Mapping[str, str]:
    """Those of a tag. The first of a name holds, as in browsers; a class is a set; a flag may be set by its name."""
    found: dict[str, str] = {}
    for named, double, single, bare in _ATTRIBUTE.findall(written):
        key, value = named.lower(), unescape(double or single or bare)
        if key == "class":
            value = " ".join(sorted(set(value.split())))
        found.setdefault(key, "" if key in _FLAGS and value.lower() == key else value)
    return found


def held(name: str, text: str) -> str:
    """What an element without tags in it holds, as it is shown or run."""
    match name:
        case "title":
            return closed(text, "", "")
        case "textarea":
            return unescape(text)
        case _:
            return text


def closed(text: str, before: str, after: str) -> str:
    """A text as it is shown between two tags: white space is one blank, and none beside what begins a line."""
    text = _SPACES.sub(" ", unescape(text) if "&" in text else text)
    if not _inline(before, _BEFORE):
        text = text.removeprefix(" ")
    return text if _inline(after, _AFTER) else text.removesuffix(" ")


def _inline(name: str, known: frozenset[str]) -> bool:
    """Whether an element lies in a line, as those do that a page has made up itself."""
    return name in known or "-" in name


def shows_space(page: str) -> bool:
    """Whether there may be an element on the page in which any white space is shown."""
    return _SHOWS_SPACE.search(page) is not None


def alike(piece: str, other: str) -> bool:
    """Whether two pieces are the same but for how much white space they end with, in which none is shown. Sooner told
    than what they are, and between two templates of one page the most frequent."""
    bare = piece.rstrip(_SPACE)
    return len(bare) not in (len(piece), len(other)) and bare == other.rstrip(_SPACE) and read(piece)[0] not in RAW


def segments(piece: str) -> list[str]:
    """How an element is named in a path: by its tag, and by its id or name if it has one."""
    name, written, _ = read(piece)
    told = attributes(written) if written else {}
    mark = told.get("id") or told.get("name")
    return [name, mark] if mark else [name]
