"""Answers that came in one piece and need no change: recognised as they stand, and passed on as they are.  No I/O.

This is nearly every answer of an API, and what it saves is most of what an answer costs: nothing is taken apart. Only
answers that everybody reads alike are recognised; for all others there is the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.headers import BODILESS
from proxy.strict import HEAD

Taker = Callable[[int, bytes], bool]  # of such an answer, as status and bytes; it says whether it takes it

# Lines that end at this hop, or that need a closer look; names that merely begin so get that look for nothing.
_ODD = (
    rb"(?![cCpPkKtTuUhHxX](?i:onnection|ontent-length|roxy-connection|eep-alive|e:|railer|ransfer-encoding|pgrade"
    rb"|ttp2-settings|-strangler-))"
)
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110 §5.6.2
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*+\r\n"
# Not possessive: before Python 3.11.5 a possessive group forgets its way back (cpython issue 106052).
_LINES = rb"(?:%b%b:%b)*" % (_ODD, _NAME, _TEXT)
# With the one line that many servers send though it means nothing: it is left out.
_MORE = rb"%b(?:((?i:connection: keep-alive)\r\n)%b)?" % (_LINES, _LINES)
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) %b%b(?i:content-length):[ \t]*([0-9]{1,18})[ \t]*\r\n%b\r\n" % (_TEXT, _MORE, _MORE)
)


def whole_answer(data: bytes) -> tuple[int, bytes] | None:
    """Status and bytes of the answer as it may be passed on, if `data` is exactly one with a length, by HTTP/1.1, that
    says nothing of its connection but that it is kept."""
    head = _HEAD.match(data)
    if head is None:
        return None
    status, before, length, behind = head.groups()
    end = head.end()
    if end + int(length) != len(data) or end > HEAD or int(status) in BODILESS or (before and behind):
        return None
    if before or behind:
        start, end = head.span(2 if before else 4)
        data = data[:start] + data[end:]
    return int(status), data
