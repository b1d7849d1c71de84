"""From a request's headers as they came to those that sides are asked with: who is calling, under which ids."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.types import Scope

from proxy.forcing import FORCE, Force, forces
from proxy.headers import Header, given_id, identity, message_head, sift
from proxy.ids import new_ids
from proxy.origin import CLAIMED, Claims, Said, origin
from proxy.peers import Peers
from proxy.signature import COMPARED, SHADOW, SIGNATURE, Secret

NOTHING: Mapping[str, str] = MappingProxyType({})
REMEMBERED, LONGEST = 2048, 512  # callers, and bytes that one of them may say of itself
# What a user may say that goes on in our words.
TOLD_ON = frozenset({b"via", b"traceparent", b"tracestate", b"transfer-encoding"})
_VIA = {version: b"via: %b strangler" % version.encode() for version in ("1.0", "1.1")}

Key = tuple[bytes, ...] | tuple[tuple[bytes, ...] | None, ...] | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: the address, and all lines that tell of it, also as they stand on the wire."""

    client: str
    lines: tuple[Header, ...]
    wire: bytes


class Outgoing:
    """A request's headers on their way to a side: `kept` are those of the user that pass, `said` is what the others
    say."""

    __slots__ = ("_trace", "caller", "kept", "request_id", "said")

    def __init__(self, kept: list[Header], said: Said, caller: Caller) -> None:
        self.kept, self.said, self.caller = kept, said, caller
        self.request_id, self._trace = new_ids()
        if b"x-request-id" in said:
            self.request_id = given_id(said) or self.request_id

    @property
    def marked(self) -> bool:
        """Whether it is said to be of a comparison, be it true or not."""
        return SHADOW in self.said or COMPARED in self.said

    def headers(self, http_version: str) -> list[Header]:
        """All of them. `http_version`: by which the user asked."""
        headers = [*self.kept, *self.caller.lines, *identity(self.said, self.request_id, self._trace, http_version)]
        if b"transfer-encoding" in self.said:
            headers.append((b"transfer-encoding", b"chunked"))  # the next hop's own: the length is not known
        return headers

    def head(self, start: bytes, http_version: str) -> bytes:
        """The same on the wire, below the request's first line."""
        if not TOLD_ON.isdisjoint(self.said):
            return message_head(start, self.headers(http_version))
        ids = b"x-request-id: %b\r\ntraceparent: %b\r\n\r\n" % (self.request_id.encode(), self._trace)
        return b"\r\n".join((start, *map(b": ".join, self.kept), self.caller.wire, _VIA[http_version], ids))


class Forwarding:
    """Turns a request as it came into the one that sides are asked with."""

    def __init__(self, peers: Peers, secret: Secret | None = None) -> None:
        self._peers, self._secret = peers, secret
        self._callers: dict[tuple[str, str, Key], Caller] = {}

    def __call__(self, scope: Scope) -> Scope:
        """A new scope: forwarding headers set, hop-by-hop ones gone, request id, client and the words that another
        proxy of ours has sent beside them."""
        came = scope["headers"]
        outgoing = self.outgoing(came, scope["client"][0] if scope["client"] else "", scope["scheme"])
        headers = outgoing.headers(scope["http_version"])
        words = self.words(came, scope["method"], scope.get("strangler.target", b""))
        headers += self.passed_on(scope, words, marked=outgoing.marked)
        return {
            **scope,
            "headers": headers,
            "strangler.request_id": outgoing.request_id,
            "strangler.client": outgoing.caller.client,
            "strangler.words": words,
            "strangler.marked": outgoing.marked,
            "strangler.forces": self.forces(outgoing.said),
        }

    def outgoing(self, headers: list[Header], peer: str, scheme: str) -> Outgoing:
        """What is to be sent on of these headers, which came from `peer`, and who is calling."""
        trusted = self._peers.trusts(peer)
        kept, said = sift(headers, trusted=trusted)
        claimed: Key = tuple(map(said.get, CLAIMED)) if trusted else said.get(b"host")
        caller = self._callers.get((peer, scheme, claimed))
        return Outgoing(kept, said, caller or self._caller(peer, scheme, said, trusted, claimed))

    def words(self, came: list[Header], method: str, target: bytes) -> Mapping[str, str]:
        """What another proxy of ours says of this request, by its signature: nearly always nothing."""
        if self._secret is None or all(name != SIGNATURE for name, _ in came):
            return NOTHING
        return self._secret.words(came, method=method.encode(), target=target, now=time.time())

    def forces(self, said: Said) -> tuple[Force, ...]:
        """What a tester's tokens demand, if they are ours and still good."""
        tokens = said.get(FORCE)
        return forces(tokens, self._secret, time.time()) if tokens and self._secret is not None else ()

    def passed_on(self, scope: Scope, words: Mapping[str, str], *, marked: bool) -> list[Header]:
        """Of the words that came with a request, those that are for the side too. Of a mark that is not believed, it is
        that no proxy behind this one compares the request either."""
        if "shadow" in words:
            return self.signed(scope, [(SHADOW, words["shadow"].encode("latin-1"))])
        return [(COMPARED, b"1")] if marked else []

    def signed(self, scope: Mapping[str, Any], words: list[Header]) -> list[Header]:
        """Words to send to a side that may be another proxy of ours: it believes them if we share a secret."""
        if self._secret is None:
            return words
        method, target = scope["method"].encode(), scope["strangler.target"]
        return self._secret.signed(words, method=method, target=target, now=time.time())

    def _caller(self, peer: str, scheme: str, said: Said, trusted: bool, key: Key) -> Caller:
        """The same users come again and again: what is told of them is remembered, bounded in number and in bytes."""
        claims = Claims.of(said, trusted=trusted)
        lines = origin(claims, peer, scheme)
        caller = Caller(self._peers.client(claims.chain or (), peer), lines, b"\r\n".join(map(b": ".join, lines)))
        if sum(len(value) for values in claims for value in values or ()) <= LONGEST:
            if len(self._callers) >= REMEMBERED:
                self._callers.clear()
            self._callers[peer, scheme, key] = caller
        return caller
