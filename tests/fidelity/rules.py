"""What the proxy changes on purpose, each change with its reason; `docs/http.md` tells the same to people. No I/O.

`through` turns what was seen without the proxy into what must be seen through it: the same bytes, but for these.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from tests.fidelity.cases import Case
from tests.fidelity.framing import Framing, Message


class Rule(enum.Enum):
    """A named difference; the values are the words of the documentation.

    What the relay carries and ASGI cannot is lost only where a request goes the way of ASGI.
    """

    VERSION = "version"  # each hop speaks its own version (RFC 9110 §2.5)
    TARGET = "target"  # an absolute-form target becomes a path and a Host (RFC 9112 §3.2.2)
    HOST = "host"  # HTTP/1.0 may leave Host out, HTTP/1.1 may not
    HOP = "hop-by-hop"  # what speaks of one connection stays on it (RFC 9110 §7.6.1)
    WORDS = "own words"  # X-Strangler-* means something only between the proxy and native
    CLAIMS = "claims"  # who is calling is believed only from a trusted proxy
    HOPS = "max-forwards"  # whoever asks after the way says how far (RFC 9110 §7.6.2)
    TRAILERS = "trailers"  # nobody downstream waits for those of a request; ASGI has no place for any
    INTERIM = "interim"  # nor for 1xx answers, but for 100, and that passes only if it is waited for
    INVITATION = "invitation"  # an upload that nobody invites is invited after a second (RFC 9110 §10.1.1), come or not
    PHRASE = "phrase"  # nor for reason phrases
    LENGTH = "length"  # nor for the length of a body that a 304 does not have; a 204 may not state one at all
    ONCE = "once"  # HTTP/1.0 cannot tell whose keep-alive a keep-alive is (RFC 9112 appendix C.2.2)
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


def through(direct: Seen, case: Case, port: int, *, relayed: bool) -> tuple[Seen, frozenset[Rule]]:
    """What must be seen through a proxy to an origin at `port`, and the rules that make the difference."""
    changes = Changes()
    asked = [_question(message, port, changes) for message in direct.asked]
    if case.early:
        asked = [changes.make(m, (Rule.EARLY, lambda m: replace(m, complete=False))) for m in asked]
    answered = _answers(direct, relayed=relayed, changes=changes)
    finals = sum(message.status >= 200 for message in answered)
    if finals < len(asked) and not case.left:
        changes.applied.add(Rule.ERROR)
    wanted = not case.left and not any(_wants_close(message) for message in direct.asked)
    alive = direct.alive or (wanted and all(message.complete for message in answered))
    if alive and any(_is_old(message) for message in direct.asked):
        changes.applied.add(Rule.ONCE)
        alive = False
    return Seen(tuple(asked), tuple(answered), alive), frozenset(changes.applied)


def _answers(direct: Seen, *, relayed: bool, changes: Changes) -> list[Message]:
    """What the client must be answered: interim answers, too, where they pass."""
    answered: list[Message] = []
    questions, invited = list(direct.asked), False
    for message in direct.answered:
        question = questions[0]
        if message.status >= 200:
            questions.pop(0)
            if _expects(question) and question.complete and not (invited or relayed):
                changes.applied.add(Rule.INVITATION)
                answered.append(Message(b"HTTP/1.1 100 Continue", ()))
            if message.status < 600:
                answered.append(_answer(message, question, relayed=relayed, changes=changes))
        elif _expects(question) if message.status == 100 else relayed and not _is_old(question):
            invited = invited or message.status == 100
            answered.append(message)
        else:
            changes.applied.add(Rule.INTERIM)
    return answered


def comparable(seen: Seen) -> Seen:
    """Header names in lower case (RFC 9110 §5.1), forwarding headers and framing left out, and torn bodies."""

    def plain(message: Message, without: frozenset[bytes]) -> Message:
        headers = tuple((name.lower(), value) for name, value in message.headers if name.lower() not in without)
        trailers = tuple((name.lower(), value) for name, value in message.trailers)
        return replace(message, headers=headers, trailers=trailers, body=message.body if message.complete else b"")

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
        (Rule.WORDS, _without_words),
        (Rule.CLAIMS, lambda m: _without(m, _claims)),
        (Rule.HOPS, _one_hop_on),
        (Rule.HOST, lambda m: _with_host(m, port)),
        (Rule.TRAILERS, lambda m: replace(m, trailers=())),
    )


def _answer(message: Message, question: Message, *, relayed: bool, changes: Changes) -> Message:
    old = _is_old(question)
    bodiless = (204,) if relayed else (204, 304)
    return changes.make(
        message,
        (Rule.VERSION, lambda m: replace(m, start=m.start.replace(b"HTTP/1.0 ", b"HTTP/1.1 "))),
        (Rule.PHRASE, lambda m: replace(m, start=b"HTTP/1.1 %d %b" % (m.status, _phrase(m, relayed=relayed)))),
        (Rule.HOP, _without_hop),
        (Rule.WORDS, lambda m: _without(m, lambda name: name.startswith(b"x-strangler-"))),
        (Rule.TRAILERS, lambda m: m if relayed and not old else replace(m, trailers=())),
        (Rule.LENGTH, lambda m: _without(m, b"content-length".__eq__) if m.status in bodiless else m),
        (Rule.FRAMING, lambda m: _reframed(m, old=old)),
    )


def _without(message: Message, which: Callable[[bytes], bool]) -> Message:
    return replace(message, headers=tuple(header for header in message.headers if not which(header[0].lower())))


def _without_hop(message: Message) -> Message:
    ended = HOP_BY_HOP | {name.strip().lower() for name in b",".join(message.values(b"connection")).split(b",")}
    trailers = tuple(header for header in message.trailers if header[0].lower() not in ended)
    return replace(_without(message, ended.__contains__), trailers=trailers)


def _without_words(message: Message) -> Message:
    """But a mark that nobody believes goes on as a word that asks for no more than not to be compared."""
    kept = _without(message, lambda name: name.startswith(b"x-strangler-"))
    if not message.values(b"x-strangler-shadow"):
        return kept
    return replace(kept, headers=(*kept.headers, (b"x-strangler-compared", b"1")))


def _claims(name: bytes) -> bool:
    """Whether a header says who is calling, if need be as CGI-like servers read it."""
    meaning = name.replace(b"_", b"-")
    return meaning in CLAIMS or (meaning != name and meaning in FORWARDING)


def _origin_form(message: Message) -> Message:
    method, target, version = message.start.split(b" ")
    if not target.startswith(b"http://"):
        return message
    target = target.removeprefix(b"http://")
    authority = re.split(b"[/?]", target, maxsplit=1)[0]
    rest = target.removeprefix(authority)
    path = rest if rest.startswith(b"/") else b"/" + rest
    changed = replace(message, start=b" ".join([method, path, version]))
    return replace(changed, headers=((b"host", authority), *_without(changed, b"host".__eq__).headers))


def _one_hop_on(message: Message) -> Message:
    if message.method not in (b"OPTIONS", b"TRACE"):
        return message
    counted = [(n, b"%d" % (int(v) - 1) if n.lower() == b"max-forwards" else v) for n, v in message.headers]
    return replace(message, headers=tuple(counted))


def _with_host(message: Message, port: int) -> Message:
    named = message.values(b"host")
    return message if named else replace(message, headers=(*message.headers, (b"host", b"127.0.0.1:%d" % port)))


def _phrase(message: Message, *, relayed: bool) -> bytes:
    given = b"".join(message.start.split(b" ", 2)[2:])
    if relayed and given:
        return given
    return HTTPStatus(message.status).phrase.encode() if message.status in set(HTTPStatus) else b""


def _reframed(message: Message, *, old: bool) -> Message:
    changes = {(Framing.CLOSE, False): Framing.CHUNKED, (Framing.CHUNKED, True): Framing.CLOSE}
    return replace(message, framing=changes.get((message.framing, old), message.framing))


def _wants_close(message: Message) -> bool:
    return _is_old(message) or b"close" in b",".join(message.values(b"connection")).lower()


def _is_old(message: Message) -> bool:
    return message.start.endswith(b"HTTP/1.0")


def _expects(message: Message) -> bool:
    """Whether the client waits to be invited (RFC 9110 §10.1.1)."""
    said = b",".join(message.values(b"expect")).lower()
    return said == b"100-continue" and not _is_old(message) and message.framing is not Framing.NONE
