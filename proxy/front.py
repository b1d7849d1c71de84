"""The user's side of HTTP: uvicorn's protocol, and what a proxy must refuse, know of a request, or relay below ASGI."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from proxy.asgi import asgi_cycle, close_delimited, http_scope, origin_form, unless_left
from proxy.forcing import FORCE
from proxy.forwarding import Outgoing
from proxy.headers import Header
from proxy.hops import COUNTED, Arrived, goes_no_further, one_hop_on
from proxy.pipeline import FEW, Pipelined
from proxy.progress import PROGRESS
from proxy.relay import Asked
from proxy.relayed import Relayed
from proxy.request import Request
from proxy.strict import HEAD, MALFORMED, PIPELINED, fault, rtsp_fault
from proxy.upgrades import BodyParser, body_framing, wants_websocket
from proxy.ways import Ways


class Front(Pipelined):
    """One user's connection, whose requests are answered in their order.

    What is pipelined behind the one that is being answered waits for the ASGI way.
    """

    def __init__(
        self,
        ways: Ways,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(ways.patience, ways.here, config, server_state, app_state, _loop)
        self._ways = ways
        self._upgrading: Scope | None = None
        self._unframed = self._raw = b""
        self._fresh: Relayed | None = None

    # asyncio.Protocol

    def data_received(self, data: bytes, portioned: bool = False) -> None:
        PROGRESS.steps += 1
        if self._refused:
            return None
        if not portioned and (len(data) > FEW or self._serving is not None):
            return self._take(data)
        self._head.came(len(data))
        self._raw = self._raw + data if self._heading else data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade_asked(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            if self._fault is None:
                raise  # a fault of our own: the event loop reports it, and ends the connection
            self._refuse(self._fault)
        except httptools.HttpParserError:
            self._refuse(MALFORMED)
        else:
            if self._heading or self._receiving is not None:
                self._part_came()
        self._raw = self._raw[-HEAD:] if self._heading else b""
        fresh, self._fresh = self._fresh, None
        if fresh is not None and fresh is self._serving:  # and not given up: what came of it is well-formed
            fresh.start()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        PROGRESS.steps += 1
        self.connections.discard(self)
        self._alarm.close()
        self.flow.resume_writing()
        self.pipeline.clear()
        self._forget()
        if self._serving is not None:
            self._abandon(self._serving)

    # httptools' parser

    def on_message_begin(self) -> None:
        self.url, self.headers, self._heading = b"", [], True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" ")))  # the parser has seen to what is ahead of it

    def on_headers_complete(self) -> None:
        parser, headers = self.parser, self.headers
        self.headers = []  # trailers are no headers: they go where nobody looks
        self._heading = self._timed = False
        if not self.flow.write_paused and not self.flow.read_paused:
            self._alarm.off()
        method, version, url = parser.get_method(), parser.get_http_version(), self.url
        self._fault = self._head.ended(url, headers) or fault(version, method, url, headers)
        if self._fault is None and b" RTSP/" in self._raw:
            self._fault, self._raw = rtsp_fault(method, url, self._raw)
        if self._fault is None and method in COUNTED and goes_no_further(headers):
            self._fault = self._arrived(method, url, headers)
        if self._fault is not None:
            raise ValueError  # ends the parsing
        if method in COUNTED:
            headers = one_hop_on(headers)
        target, authority = origin_form(url, method)
        if authority is not None:  # it outranks Host (RFC 9112 §3.2.2)
            headers = [(b"host", authority), *(header for header in headers if header[0] != b"host")]
        if not parser.should_upgrade():
            self._begin(method.decode(), version, target, headers)
        elif version == "1.1" and wants_websocket(method.decode(), headers):  # HTTP/1.0 asks for none (RFC 9110 §7.8)
            self._upgrading = self._scope(method.decode(), version, target, headers)
        else:
            self._unframed = body_framing(headers)
            self._begin(method.decode(), version, target, headers, relayed=False)

    def on_body(self, body: bytes) -> None:
        self._head.moved()
        receiving = self._receiving
        if isinstance(receiving, Relayed):
            receiving.upload(body)
        elif receiving is not None and not receiving.response_complete:
            receiving.body += body
            if len(receiving.body) > HIGH_WATER_LIMIT:
                self.pause_reading()
            receiving.message_event.set()

    def on_message_complete(self) -> None:
        if self._unframed or self._upgrading is not None:
            return
        self._head.moved()
        receiving, self._receiving = self._receiving, None
        if isinstance(receiving, Relayed):
            receiving.uploaded()
        elif receiving is not None and not receiving.response_complete:
            receiving.more_body = False
            receiving.message_event.set()

    # The relay

    def served(self, relayed: Relayed, *, keep: bool) -> None:
        if relayed is self._serving:
            self._next(keep=keep)

    # uvicorn

    def on_response_complete(self) -> None:
        self._next(keep=cast(RequestResponseCycle, self._serving).keep_alive)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._serving = cycle
        if cycle.scope["http_version"] == "1.0":
            app = close_delimited(app, cycle)
        super()._start_asgi_task(cycle, cast(Any, unless_left(app, cycle)))

    # Within

    def _begin(self, method: str, version: str, target: bytes, headers: list[Header], *, relayed: bool = True) -> None:
        ways, busy = self._ways, self._serving is not None
        keep_alive = version != "1.0" and self.parser.should_keep_alive() and not self._leaving
        outgoing = self._outgoing(headers)
        client, words = outgoing.caller.client, ways.forwarding.words(headers, method, target)
        forces = ways.forwarding.forces(outgoing.said) if FORCE in outgoing.said else ()
        route, decision = decided = ways.decide(method, target, outgoing.kept, client, forces)
        as_it_is = not busy and not words and not forces and not outgoing.marked
        if relayed and as_it_is and ways.relay.takes(decision):
            if b"host" not in outgoing.said:  # HTTP/1.0 may leave it out, HTTP/1.1 may not
                outgoing.kept.append((b"host", ways.relay.legacy.authority))
            head = outgoing.head(b"%b %b HTTP/1.1" % (method.encode(), target), version)
            asked = Asked(Request(method, head, headers), version, target, outgoing.request_id, client, route, decision)
            self._serving = self._receiving = self._fresh = Relayed(ways.relay, asked, self, keep_alive=keep_alive)
            return None
        scope = self._scope(method, version, target, outgoing.headers(version))
        scope["strangler.request_id"], scope["strangler.client"] = outgoing.request_id, client
        scope["strangler.decided"], scope["strangler.words"] = decided, words
        scope["strangler.marked"] = outgoing.marked
        scope["headers"] += ways.forwarding.passed_on(scope, words, marked=outgoing.marked)
        invites = version != "1.0" and Request(method, b"", headers).awaits_invitation
        self._receiving = cycle = asgi_cycle(self, self, scope, invites=invites, keep_alive=keep_alive)
        if busy:
            return self.pipeline.appendleft((cycle, self.app))
        return self._start_asgi_task(cycle, self.app)

    def _arrived(self, method: bytes, url: bytes, headers: list[Header]) -> Arrived:
        outgoing, target = self._outgoing(headers), origin_form(url, method)[0]
        return Arrived(outgoing.request_id, outgoing.caller.client, method.decode(), target, time.perf_counter())

    def _outgoing(self, headers: list[Header]) -> Outgoing:
        return self._ways.forwarding.outgoing(headers, self.client[0] if self.client else "", self.scheme or "http")

    def _scope(self, method: str, version: str, target: bytes, headers: list[Header]) -> Scope:
        ends: dict[str, Any] = {"scheme": self.scheme or "http", "server": self.server, "client": self.client}
        return http_scope(method, version, target, headers, **ends)

    def _next(self, *, keep: bool) -> None:
        """The answer to `_serving` is written."""
        self._serving = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():  # as soon as the user has taken what is written
            self._alarm.within(self._patience.reader)
        elif not keep:
            self._close()
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            self._go_on()
        elif self._refused:
            self._tell(self._fault or MALFORMED)
        else:
            self._await_request()

    def _upgrade_asked(self, rest: bytes) -> None:
        if (scope := self._upgrading) is not None:
            if self._serving is not None:
                return self._refuse(PIPELINED)
            self._alarm.close()
            self.connections.discard(self)
            self.out.flush()
            tunnel = self._ways.upgrade(scope, self.transport, self.connections)
            self.transport.set_protocol(tunnel)
            rest += self._unparsed
            self._forget()
            if rest:
                tunnel.data_received(rest)
            return None
        # Other protocols are not offered, and such a request is served as if it had not asked (RFC 9110 §7.8). Java's
        # client asks with every body; the parser has stopped ahead of it.
        framing, self._unframed = self._unframed, b""
        if framing:
            self.parser = httptools.HttpRequestParser(BodyParser(self))
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
        return self.data_received(rest, portioned=True) if rest else None

    def _forget(self) -> None:
        """Break the circles that lead back here: a connection that is over waits for no garbage collector."""
        self._receiving, self._unparsed = None, b""
        del self.parser
