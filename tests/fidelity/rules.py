"""What the proxy changes on purpose, each change with its reason; `docs/http.md` tells the same to people. No I/O.

`through` turns what was seen without the proxy into what must be seen through it: the same bytes, but for these.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from tests.fidelity.cases import Case
from tests.fidelity.framing import Framing, Message


class Rule(enum.Enum):
    """A named difference; the values are the words of the documentation."""

    VERSION = "version"  # each hop speaks its own version (RFC 9110 §2.5)
    TARGET = "target"  # an absolute-form target becomes a path and a Host (RFC 9112 §3.2.2)
    HOST = "host"  # HTTP/1.0 may leave Host out, HTTP/1.1 may not
    HOP = "hop-by-hop"  # what speaks of one connection stays on it (RFC 9110 §7.6.1)
    WORDS = "own words"  # X-Strangler-* means something only between the proxy and native
    CLAIMS = "claims"  # who is calling is believed only from a trusted proxy
    TRAILERS = "trailers"  # ASGI has no place for them
    INTERIM = "interim"  # nor for 1xx answers, but for 100
    INVITATION = "invitation"  # an upload that nobody invites is invited after a second (RFC 9110 §10.1.1)
    PHRASE = "phrase"  # nor for reason phrases
    LENGTH = "length"  # nor for the length of a body that a 304 does not have; a 204 may not state one at all
    FRAMING = "framing"  # a body that ends with its connection goes on in chunks; for HTTP/1.0 the other way round
    EARLY = "early answer"  # what is left of an upload after its answer is not passed on
    ERROR = "error"  # a side that gives no answer is answered for


# Set anew at this hop; tests/proxy/test_headers.py says to what.
FORWARDING = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port forwarded via x-request-id "
    b"traceparent tracestate".split()
)
CLAIMS = frozenset(b"x-real-ip client-ip".split())
HOP_BY_HOP = frozenset(b"connection proxy-connection keep-alive te trailer upgrade http2-settings".split())


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: what the origin was asked, what the client was answered, whether its connection could be used on."""

    asked: tuple[Message, ...]
    answered: tuple[Message, ...]
    alive: bool


@dataclass(slots=True)
class Changes:
    """Rewrites messages, and notes which rules made a difference."""

    applied: set[Rule] = field(default_factory=set)

    def make(self, message: Message, *rules: tuple[Rule, Callable[[Message], Message]]) -> Message:
        for rule, how in rules:
            before, message = message, how(message)
            if message != before:
                self.applied.add(rule)
        return message


def through(direct: Seen, case: Case, port: int) -> tuple[Seen, frozenset[Rule]]:
    """What must be seen through a proxy to an origin at `port`, and the rules that make the difference."""
    changes = Changes()
    asked = [_question(message, port, changes) for message in direct.asked]
    if case.early:
        asked = [changes.make(m, (Rule.EARLY, lambda m: replace(m, complete=False))) for m in asked]
    finals = [message for message in direct.answered if message.status >= 200]
    invitations = [message for message in direct.answered if message.status == 100]
    if len(finals) + len(invitations) < len(direct.answered):
        changes.applied.add(Rule.INTERIM)
    if not invitations and any(message.complete and message.values(b"expect") for message in direct.asked):
        changes.applied.add(Rule.INVITATION)
        invitations = [Message(b"HTTP/1.1 100 Continue", ())]
    answered = []
    for message, question in zip(finals, direct.asked, strict=False):
        if message.status < 600:
            answered.append(_answer(message, question, changes))
    if len(answered) < len(asked) and not case.left:
        changes.applied.add(Rule.ERROR)
    wanted = not case.left and not any(_wants_close(message) for message in direct.asked)
    alive = direct.alive or (wanted and all(message.complete for message in answered))
    return Seen(tuple(asked), (*invitations, *answered), alive), frozenset(changes.applied)


def comparable(seen: Seen) -> Seen:
    """Header names in lower case (RFC 9110 §5.1), forwarding headers and framing left out, and torn bodies."""

    def plain(message: Message, without: frozenset[bytes]) -> Message:
        headers = tuple((name.lower(), value) for name, value in message.headers if name.lower() not in without)
        return replace(message, headers=headers, body=message.body if message.complete else b"")

    framing = frozenset({b"transfer-encoding", b"connection"})
    return Seen(
        tuple(plain(message, FORWARDING | framing) for message in seen.asked),
        tuple(plain(message, framing) for message in seen.answered),
        seen.alive,
    )


def _question(message: Message, port: int, changes: Changes) -> Message:
    return changes.make(
        message,
        (Rule.VERSION, lambda m: replace(m, start=m.start.replace(b" HTTP/1.0", b" HTTP/1.1"))),
        (Rule.TARGET, _origin_form),
        (Rule.HOP, _without_hop),
        (Rule.WORDS, lambda m: _without(m, lambda name: name.startswith(b"x-strangler-"))),
        (Rule.CLAIMS, lambda m: _without(m, CLAIMS.__contains__)),
        (Rule.HOST, lambda m: _with_host(m, port)),
        (Rule.TRAILERS, lambda m: replace(m, trailers=())),
    )


def _answer(message: Message, question: Message, changes: Changes) -> Message:
    return changes.make(
        message,
        (Rule.VERSION, lambda m: replace(m, start=m.start.replace(b"HTTP/1.0 ", b"HTTP/1.1 "))),
        (Rule.PHRASE, lambda m: replace(m, start=b"HTTP/1.1 %d %b" % (m.status, _phrase(m.status)))),
        (Rule.HOP, _without_hop),
        (Rule.WORDS, lambda m: _without(m, lambda name: name.startswith(b"x-strangler-"))),
        (Rule.TRAILERS, lambda m: replace(m, trailers=())),
        (Rule.LENGTH, lambda m: _without(m, b"content-length".__eq__) if m.status in (204, 304) else m),
        (Rule.FRAMING, lambda m: _reframed(m, old=question.start.endswith(b"HTTP/1.0"))),
    )


def _without(message: Message, which: Callable[[bytes], bool]) -> Message:
    return replace(message, headers=tuple(header for header in message.headers if not which(header[0].lower())))


def _without_hop(message: Message) -> Message:
    nominated = {name.strip().lower() for name in b",".join(message.values(b"connection")).split(b",")}
    return _without(message, (HOP_BY_HOP | nominated).__contains__)


def _origin_form(message: Message) -> Message:
    method, target, version = message.start.split(b" ")
    if not target.startswith(b"http://"):
        return message
    authority, slash, rest = target.removeprefix(b"http://").partition(b"/")
    changed = replace(message, start=b" ".join([method, slash + rest or b"/", version]))
    return replace(changed, headers=((b"host", authority), *_without(changed, b"host".__eq__).headers))


def _with_host(message: Message, port: int) -> Message:
    named = message.values(b"host")
    return message if named else replace(message, headers=(*message.headers, (b"host", b"127.0.0.1:%d" % port)))


def _phrase(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode() if status in set(HTTPStatus) else b""


def _reframed(message: Message, *, old: bool) -> Message:
    changes = {(Framing.CLOSE, False): Framing.CHUNKED, (Framing.CHUNKED, True): Framing.CLOSE}
    return replace(message, framing=changes.get((message.framing, old), message.framing))


def _wants_close(message: Message) -> bool:
    return message.start.endswith(b"HTTP/1.0") or b"close" in b",".join(message.values(b"connection")).lower()
