"""Text as Ruby sees it. No I/O."""

from __future__ import annotations

import re

# [[:space:]]; str.isspace() also counts U+001C to U+001F.
SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*")


def blank(text: str) -> bool:
    """True for nothing but white space, and for nothing at all."""
    return SPACE.fullmatch(text) is not None


def stripped(text: str) -> str:
    """Without the white space of ASCII around it, and with any other."""
    return text.strip(" \t\n\v\f\r")


def lowered(text: str) -> str:
    """In lower case, letter by letter; str.lower() would write a Σ at the end of a word as ς."""
    return "".join(map(str.lower, text))
