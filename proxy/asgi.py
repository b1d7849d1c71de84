"""A request on its way into the ASGI app: its scope, and what uvicorn's cycle lacks for users of HTTP/1.0."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Protocol, cast
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from proxy.headers import Header
from proxy.leaving import Leaving


def http_scope(
    method: str, version: str, target: bytes, headers: list[Header], *, scheme: str, server: Any, client: Any
) -> Scope:
    """`target` in origin form (RFC 9112 §3.2.1), kept as it came beside what ASGI makes of it."""
    raw_path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version,
        "method": method,
        "scheme": scheme,
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "server": server,
        "client": client,
        "state": {},
        "strangler.target": target,
    }


def origin_form(url: bytes, method: bytes) -> tuple[bytes, bytes | None]:
    """The path and query of a request target, untouched, and the authority if it is in absolute form."""
    if url.startswith(b"/") or url == b"*":
        return url, None
    rest = url.partition(b"://")[2]
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    target = rest[len(authority) :]
    if not target and method == b"OPTIONS":
        target = b"*"  # of the server as a whole (RFC 9112 §3.2.4)
    elif not target.startswith(b"/"):
        target = b"/" + target
    return target, authority.rpartition(b"@")[2]


class Writer(Protocol):
    """A user's connection, which takes what the cycle says to a transport: it knows better when to close."""

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool: ...

    def close(self) -> None: ...

    def reset(self) -> None: ...


def asgi_cycle(
    server: HttpToolsProtocol, user: Writer, scope: Scope, *, invites: bool, keep_alive: bool
) -> RequestResponseCycle:
    """uvicorn's cycle for one request. `invites`: an upload waits to be told to continue."""
    scope["strangler.leaving"] = Leaving()
    return RequestResponseCycle(
        scope=cast(Any, scope),
        transport=cast(asyncio.Transport, user),
        flow=server.flow,
        logger=server.logger,
        access_logger=server.access_logger,
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=invites,
        keep_alive=keep_alive,
        on_response=server.on_response_complete,
    )


def unless_left(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """For what may turn out to be no request, or nobody's, before its task has begun: then nobody is asked."""

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        if not cycle.disconnected:
            await app(scope, receive, send)

    return within


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
                cast(Writer, cycle.transport).reset()

    return within
