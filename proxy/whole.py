"""Answers that came in one piece and need no change: seen through by the parser, and passed on as they are.

This is nearly every answer of an API, and what it saves is most of what an answer costs: no header is taken apart.
"""

from __future__ import annotations

import re

import httptools

from proxy.headers import BODILESS

# Lines that end at this hop, or that need a closer look. `KEEP` is what many servers say though it means nothing.
_ODD = re.compile(
    rb"\n(?:[ \t]|(?:connection|proxy-connection|keep-alive|te|trailer|transfer-encoding|upgrade|http2-settings)[ \t]*:"
    rb"|x-strangler-)",
    re.IGNORECASE,
)
_STATUS = re.compile(rb"HTTP/1\.1 [0-9]{3} [\t\x20-\x7e\x80-\xff]*\r\n")
_KEEP = b"\nconnection: keep-alive\r"


class WholeAnswers:
    """Looks at answers ahead of the parser that takes them apart. It hears a parser of its own."""

    __slots__ = ("_begun", "_body", "_ended", "_parser", "keeps_alive", "status")

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self._begun = self._ended = self._body = self.status = 0
        self.keeps_alive = True

    def passed(self, data: bytes) -> bytes | None:
        """The answer as it may be passed on, if `data` is exactly one; `status` and `keeps_alive` tell of it."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or not _STATUS.match(data) or data.count(b"\n", 0, end) != data.count(b"\r\n", 0, end):
            return None
        passed = data
        odd = _ODD.findall(data, 0, end)
        if odd:
            start = data.find(odd[0])
            if len(odd) > 1 or data[start : start + len(_KEEP)].lower() != _KEEP:
                return None
            passed = data[:start] + data[start + len(_KEEP) :]
        return passed if self._is_one_answer(data, end + 4) else None

    def close(self) -> None:
        self._parser = None

    def _is_one_answer(self, data: bytes, head: int) -> bool:
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        self._begun = self._ended = self._body = 0
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            self._parser = None
            return False
        if self._ended != 1 or self._begun != 1 or head + self._body != len(data):
            self._parser = None  # it stands amid an answer that somebody else reads
            return False
        self.status = parser.get_status_code()
        return 200 <= self.status <= 599 and self.status not in BODILESS

    def on_message_begin(self) -> None:
        self._begun += 1

    def on_body(self, body: bytes) -> None:
        self._body += len(body)

    def on_message_complete(self) -> None:
        self._ended += 1
        self.keeps_alive = self._parser is not None and self._parser.should_keep_alive()
