from __future__ import annotations

import httptools
import pytest

from proxy.headers import Header
from proxy.upgrades import BodyParser, body_framing, wants_websocket


@pytest.mark.parametrize(
    ("headers", "wants"),
    [
        ([(b"upgrade", b"websocket")], True),
        ([(b"connection", b"Upgrade"), (b"upgrade", b"WebSocket")], True),
        ([(b"upgrade", b"h2c")], False),
        ([(b"upgrade", b"h2c, websocket")], False),
        ([(b"connection", b"websocket")], False),
        ([], False),
    ],
)
def test_only_websocket_is_offered(headers: list[Header], wants: bool) -> None:
    assert wants_websocket("GET", headers) is wants


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", []),
        ("HEAD", []),
        ("GET", [(b"content-length", b"3")]),
        ("GET", [(b"transfer-encoding", b"chunked")]),
    ],
)
def test_a_websocket_is_asked_for_by_a_get_without_a_body(method: str, headers: list[Header]) -> None:
    assert not wants_websocket(method, [(b"upgrade", b"websocket"), *headers])


def test_the_lines_that_frame_a_body_are_found_among_the_others() -> None:
    headers = [(b"host", b"a"), (b"content-length", b"3"), (b"upgrade", b"h2c"), (b"transfer-encoding", b"chunked")]
    assert body_framing(headers) == b"content-length: 3\r\ntransfer-encoding: chunked\r\n"
    assert body_framing(headers[:1]) == b""


class Heard:
    """What a parser has told, in its order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def on_message_begin(self) -> None:
        self.told.append(("begin", b""))

    def on_url(self, url: bytes) -> None:
        self.told.append(("url", url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.told.append(("header", name + b"=" + value))

    def on_headers_complete(self) -> None:
        self.told.append(("head", b""))

    def on_body(self, body: bytes) -> None:
        self.told.append(("body", body))

    def on_message_complete(self) -> None:
        self.told.append(("end", b""))


def test_a_body_s_parser_keeps_the_head_that_was_read_before_to_itself() -> None:
    heard = Heard()
    parser = httptools.HttpRequestParser(BodyParser(heard))
    parser.feed_data(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n")
    assert heard.told == []
    parser.feed_data(b"abcGET /next HTTP/1.1\r\nhost: a\r\n\r\n")
    assert heard.told == [
        ("body", b"abc"),
        ("end", b""),
        ("begin", b""),
        ("url", b"/next"),
        ("header", b"host=a"),
        ("head", b""),
        ("end", b""),
    ]
