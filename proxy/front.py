"""The user's side of HTTP: uvicorn's httptools protocol, and what a proxy must know or do beyond it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

# No URI has these (RFC 3986 §2), and puma neither takes them nor, on a connection that it has answered on before, says
# so: the request would hang, and hold the connection that it shares with others.
UNSAFE = re.compile(rb'["<>#]')
Upgrade = Callable[[Scope, asyncio.Transport, set[Any]], asyncio.Protocol]


class Front(HttpToolsProtocol):
    """Keeps the request target byte for byte (`/a?` is not `/a`) in the scope, and hands upgrades over."""

    def __init__(
        self,
        upgrade: Upgrade,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._upgrade = upgrade
        self._answering: RequestResponseCycle | None = None

    def on_headers_complete(self) -> None:
        for name, value in self.headers:
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                # The parser finds out too, but only when the request is on its way.
                raise ValueError("a transfer coding that this hop does not know")
        if UNSAFE.search(self.url):
            raise ValueError("no URI")  # which the parser turns into a 400
        target, authority = origin_form(self.url)
        if authority is not None:  # it outranks Host (RFC 9112 §3.2.2)
            self.headers[:] = [(b"host", authority), *(header for header in self.headers if header[0] != b"host")]
        # The request's task starts only after this callback, so that it finds the target in its scope.
        self.scope["strangler.target"] = target  # type: ignore[typeddict-unknown-key]  # ours
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = []  # trailers are no headers: they go where nobody looks

    def on_message_complete(self) -> None:
        if not (self.parser.should_upgrade() and self._ignored_upgrade_framing()):
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade_asked(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _upgrade_asked(self, rest: bytes) -> None:
        if self._should_upgrade():
            self.handle_websocket_upgrade()
            if rest:
                cast(asyncio.Protocol, self.transport.get_protocol()).data_received(rest)
            return
        # Other protocols are not offered, and such a request is served as if it had not asked (RFC 9110 §7.8). Java's
        # client asks with every body; the parser has stopped ahead of it.
        framing = self._ignored_upgrade_framing()
        if framing:
            self.parser = httptools.HttpRequestParser(_AfterHead(self))
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
        if rest:
            self.data_received(rest)

    def _ignored_upgrade_framing(self) -> bytes:
        """The header lines that frame the body of a request for an upgrade to something else than WebSocket."""
        if self._should_upgrade():
            return b""
        framing = (b"content-length", b"transfer-encoding")
        return b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] in framing)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        if cycle.scope["http_version"] == "1.0":
            app = close_delimited(app, cycle)
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn forgets to after a reset: all would live on with the timer
        # Of pipelined requests uvicorn tells only the last; the one that is being answered must hear of it too.
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def handle_websocket_upgrade(self) -> None:
        if self._answering is not None and not self._answering.response_complete:
            return self.send_400_response("An upgrade cannot be pipelined.")
        self.connections.discard(self)
        scope = cast("Scope", self.scope)
        self.transport.set_protocol(self._upgrade(scope, self.transport, self.connections))
        return None


class _AfterHead:
    """Hears a parser that begins with a message whose head another parser has read: passes on all but that head."""

    def __init__(self, front: Front) -> None:
        self._front, self._heads = front, 0

    def on_message_begin(self) -> None:
        self._heads += 1
        if self._heads > 1:
            self._front.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._heads > 1:
            self._front.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._heads > 1:
            self._front.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._heads > 1:
            self._front.on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._front.on_body(body)

    def on_message_complete(self) -> None:
        self._front.on_message_complete()


def close_delimited(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """For HTTP/1.0 clients, which know no chunks (RFC 9112 §6.1): an answer without a length ends with its connection,
    and one that breaks off resets it, or it would pass for whole."""

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        delimited = False

        async def unchunked(message: Message) -> None:
            nonlocal delimited
            if message["type"] == "http.response.start":
                delimited = all(name.lower() != b"content-length" for name, _ in message["headers"])
                if delimited:
                    cycle.chunked_encoding = False  # uvicorn then takes the framing for settled
            elif delimited:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive, unchunked)
        finally:
            if delimited and not cycle.response_complete:
                reset(cycle.transport)

    return within


def reset(transport: asyncio.Transport) -> None:
    """Close so that the other end sees an error and not an end."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def origin_form(url: bytes) -> tuple[bytes, bytes | None]:
    """The path and query of a request target, untouched, and the authority if it is in absolute form."""
    if url.startswith(b"/") or url == b"*":
        return url, None
    rest = url.partition(b"://")[2]
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    target = rest[len(authority) :]
    return target if target.startswith(b"/") else b"/" + target, authority.rpartition(b"@")[2]
