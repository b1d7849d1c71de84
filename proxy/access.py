"""The wrapper around everything: who asks, under which request id; and one record of every request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.errors import SideFailed
from proxy.exchange import Exchange
from proxy.headers import BODILESS, Header, forward_response, given_id, identity, message_head, sift
from proxy.ids import new_request_id, new_trace
from proxy.origin import Claims, Said, origin
from proxy.peers import Peers
from proxy.signature import SHADOW, SIGNATURE, Secret

log = structlog.get_logger()
NOTHING: Mapping[str, str] = MappingProxyType({})
REMEMBERED, LONGEST = 2048, 512  # callers, and bytes that one of them may say of itself


Record = Callable[[str, str, str, bytes, Exchange], None]


class Forwarding:
    """Turns a request as it came into the one that sides are asked with."""

    def __init__(self, peers: Peers, secret: Secret | None = None) -> None:
        self._peers, self._secret = peers, secret
        self._callers: dict[tuple[str, str, Claims], Caller] = {}

    def __call__(self, scope: Scope) -> Scope:
        """A new scope: forwarding headers set, hop-by-hop ones gone, request id, client and the words that another
        proxy of ours has sent beside them."""
        came = scope["headers"]
        peer = scope["client"][0] if scope["client"] else ""
        headers, request_id, client = self.ask(came, peer, scope["scheme"], scope["http_version"])
        words = self.words(came, scope["method"], scope.get("strangler.target", b""))
        if words:
            headers += self.passed_on(scope, words)
        return {
            **scope,
            "headers": headers,
            "strangler.request_id": request_id,
            "strangler.client": client,
            "strangler.words": words,
        }

    def outgoing(self, headers: list[Header], peer: str, scheme: str) -> Outgoing:
        """What is to be sent on of these headers, which came from `peer`, and who is calling."""
        trusted = self._peers.trusts(peer)
        kept, said = sift(headers, trusted=trusted)
        claims = Claims.of(said, trusted=trusted)
        caller = self._callers.get((peer, scheme, claims)) or self._caller(peer, scheme, claims)
        return Outgoing(kept, said, caller, given_id(said) or new_request_id())

    def ask(self, headers: list[Header], peer: str, scheme: str, http_version: str) -> tuple[list[Header], str, str]:
        """The headers to ask a side with, the request's id, and the client's address."""
        outgoing = self.outgoing(headers, peer, scheme)
        return outgoing.headers(http_version), outgoing.request_id, outgoing.caller.client

    def words(self, came: list[Header], method: str, target: bytes) -> Mapping[str, str]:
        """What another proxy of ours says of this request, by its signature: nearly always nothing."""
        if self._secret is None or all(name != SIGNATURE for name, _ in came):
            return NOTHING
        return self._secret.words(came, method=method.encode(), target=target, now=time.time())

    def passed_on(self, scope: Scope, words: Mapping[str, str]) -> list[Header]:
        """Of the words that came with a request, those that are for the side too."""
        return self.signed(scope, [(SHADOW, words["shadow"].encode("latin-1"))]) if "shadow" in words else []

    def signed(self, scope: Mapping[str, Any], words: list[Header]) -> list[Header]:
        """Words to send to a side that may be another proxy of ours: it believes them if we share a secret."""
        if self._secret is None:
            return words
        method, target = scope["method"].encode(), scope["strangler.target"]
        return self._secret.signed(words, method=method, target=target, now=time.time())

    def _caller(self, peer: str, scheme: str, claims: Claims) -> Caller:
        """The same users come again and again: what is told of them is remembered, bounded in number and in bytes."""
        lines = origin(claims, peer, scheme)
        caller = Caller(self._peers.client(claims.chain or (), peer), lines, b"\r\n".join(map(b": ".join, lines)))
        if sum(len(value) for values in claims for value in values or ()) <= LONGEST:
            if len(self._callers) >= REMEMBERED:
                self._callers.clear()
            self._callers[peer, scheme, claims] = caller
        return caller


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: the address, and all lines that tell of it, also as they stand on the wire."""

    client: str
    lines: tuple[Header, ...]
    wire: bytes


@dataclass(slots=True)
class Outgoing:
    """A request's headers on their way to a side: `kept` are those of the user that pass."""

    kept: list[Header]
    said: Said
    caller: Caller
    request_id: str

    def headers(self, http_version: str) -> list[Header]:
        """All of them. `http_version`: by which the user asked."""
        headers = [*self.kept, *self.caller.lines, *identity(self.said, self.request_id, new_trace(), http_version)]
        if b"transfer-encoding" in self.said:
            headers.append((b"transfer-encoding", b"chunked"))  # the next hop's own: the length is not known
        return headers

    def head(self, start: bytes, http_version: str) -> bytes:
        """The same on the wire, below the request's first line."""
        if not self.said.keys().isdisjoint(TOLD_ON):
            return message_head(start, self.headers(http_version))
        identified = _IDENTIFIED % (http_version.encode(), self.request_id.encode(), new_trace())
        return b"\r\n".join((start, *map(b": ".join, self.kept), self.caller.wire, identified))


# What a user may say that goes on in our words.
TOLD_ON = frozenset({b"via", b"traceparent", b"tracestate", b"transfer-encoding"})
_IDENTIFIED = b"via: %b strangler\r\nx-request-id: %b\r\ntraceparent: %b\r\n\r\n"


class Access:
    """`record` hears of each request and its exchange once it is over: request id, client, method, path as sent."""

    def __init__(self, app: ASGIApp, forwarding: Forwarding, record: Record | None = None) -> None:
        self._app, self._forwarding, self._record = app, forwarding, record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = scope if "strangler.request_id" in scope else self._forwarding(scope)

        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = forward_response(message["headers"])
                if message["status"] in BODILESS:  # uvicorn would wait for a body of the length that is stated
                    headers = [header for header in headers if header[0].lower() != b"content-length"]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(inner, receive, outward)
        except SideFailed:
            return  # the answer had begun: the server now closes the connection, which is how the user learns of it
        except Exception:
            log.exception("a fault of the proxy's own", request_id=inner["strangler.request_id"], path=scope["path"])
            raise  # the server answers 500, or closes the connection if the answer had begun
        finally:
            exchange = inner.get("strangler.exchange")
            if self._record is not None and exchange is not None:
                ids = inner["strangler.request_id"], inner["strangler.client"]
                self._record(*ids, scope["method"], scope["raw_path"], exchange)
