"""What others make of the same cases, in words: the columns of docs/http.md that are not ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from shadow.eligibility import SAFE
from tests.fidelity.cases import Case
from tests.fidelity.framing import Framing, Header, Malformed, Message, answers
from tests.fidelity.origin import Origin
from tests.fidelity.refusals import Refusal
from tests.fidelity.rules import CLAIMS, FORWARDING, HOP_BY_HOP, Seen
from tests.fidelity.run import played
from tests.fidelity.wire import Signals, connected

QUIET, STALLED = 2.0, 5.0  # seconds after which a connection that is silent is said to hang, and a case to stall


async def told(case: Case, direct: Seen, port: int, origin: Origin) -> str:
    """How a case looks through a proxy, next to how it looks without it."""
    words: list[str] = []
    try:
        async with asyncio.timeout(STALLED):
            words += differences(direct, await played(case, port, origin), case)
    except* TimeoutError:
        words.append("stalls")
    except* Malformed:
        words.append("malformed")
    if any("Malformed" in fault for fault in origin.faults):
        words.insert(0, "malformed")
    return ", ".join(dict.fromkeys(words)) or "as sent"


async def told_of_refusal(refusal: Refusal, port: int, origin: Origin) -> str:
    """Whether a proxy passes on what is no HTTP, and what it answers."""
    signals = Signals()
    origin.begin(*refusal.origin, signals=signals)
    waits = "stalls"
    async with connected(port) as client:
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET):
                await client.play(refusal.client, lambda: True, signals)
                waits = "hangs"
                await client.until(lambda: False)
                waits = "closes"
        raw, ended = bytes(client.raw), client.ended == "closed"
    if any("Malformed" in fault for fault in origin.faults):
        return "passed on"
    if {message.start for message in origin.received} - set(refusal.asked):
        return "mended" if all(message.complete for message in origin.received) else "passed on in part"
    try:
        seen = answers(raw, [refusal.client[0].partition(b" ")[0]] * raw.count(b"HTTP/"), ended=ended)
    except Malformed:
        return "passed on"
    last = ", breaks off" if seen and not seen[-1].complete else ""
    return ", ".join(str(message.status) for message in seen) + last or waits


def statuses(seen: Seen, case: Case) -> str:
    """What the client is answered, in short."""
    if case.left:
        return "left"
    said = ", ".join(str(message.status) for message in _run(seen.answered))
    broken = not all(message.complete for message in seen.answered)
    return f"{said}, breaks off" if broken else said or "no answer"


def _run(messages: tuple[Message, ...]) -> Iterator[Message]:
    """Without those that are alike and follow one another."""
    before = None
    for message in messages:
        if message.status < 200 and message == before:
            continue
        before = message
        yield message


def differences(direct: Seen, seen: Seen, case: Case) -> Iterator[str]:
    if len(seen.asked) < len(direct.asked) and not case.early:
        yield "not passed on"
    if len(seen.asked) > len(direct.asked) and not SAFE.issuperset(message.method.decode() for message in direct.asked):
        yield "asked again"
    for one, other in zip(direct.asked, seen.asked, strict=False):
        yield from _asked(one, other)
    interim = [[message.status for message in each.answered if message.status < 200] for each in (direct, seen)]
    if interim[0] != interim[1]:
        yield "invitation" if interim[1] == [100] else "interim"
    finals = [[message for message in each.answered if message.status >= 200] for each in (direct, seen)]
    for one, other in zip(*finals, strict=False):
        yield from _answered(one, other)
    if len(finals[0]) > len(finals[1]) and not case.left:
        yield "no answer"
    yield from (_own(message) for message in finals[1][len(finals[0]) :])
    if direct.alive and not seen.alive:
        yield "closes"


def _own(message: Message) -> str:
    """An answer that a proxy gives although the origin gives none."""
    return "error" if message.status in (502, 504) else str(message.status)


def _asked(one: Message, other: Message) -> Iterator[str]:
    method, target, version = one.start.split(b" ")
    if other.start.split(b" ")[2] != version:
        yield "version"
    if other.start.split(b" ")[:2] != [method, target]:
        yield "target"
    yield from _headers(one, other, "", FORWARDING)
    if one.complete and other.complete and one.body != other.body:
        yield "body"
    if one.framing != other.framing:
        yield "framing"
    if one.trailers != other.trailers:
        yield "trailers"


def _answered(one: Message, other: Message) -> Iterator[str]:
    if one.status != other.status:
        yield str(other.status)
        return
    if one.start.partition(b" ")[0] != other.start.partition(b" ")[0]:
        yield "version"
    if one.start.partition(b" ")[2].rstrip() != other.start.partition(b" ")[2].rstrip():
        yield "phrase"
    yield from _headers(one, other, "answer's ", frozenset({b"date", b"server"}) - _named(one))
    if not one.complete and other.complete:
        yield "passes for whole"
    if one.complete and not other.complete:
        yield "breaks off"
    elif one.complete and one.body != other.body:
        yield "body"
    if one.framing != other.framing and Framing.NONE not in (one.framing, other.framing):
        yield "framing"
    if _plain(one.trailers) != _plain(other.trailers):
        yield "trailers"


def _headers(one: Message, other: Message, whose: str, added: frozenset[bytes]) -> Iterator[str]:
    """`added`: what a proxy may add."""
    framing = frozenset({b"transfer-encoding", b"content-length"})
    here, there = _plain(one.headers), _plain(other.headers)
    hop = HOP_BY_HOP | {name.strip().lower() for name in b",".join(one.values(b"connection")).split(b",")}
    lost = {name for name, _ in (Counter(here) - Counter(there))} - framing
    gained = {name for name, _ in (Counter(there) - Counter(here))} - framing - added - {b"connection"}
    for word, names in (("hop-by-hop", hop), ("claims", CLAIMS | added), ("host", {b"host"})):
        if (lost | gained) & names:
            yield word
        lost, gained = lost - names, gained - names
    if lost:
        yield f"{whose}headers {'changed' if lost & gained else 'lost'}"
    elif gained:
        yield f"{whose}headers added"
    both = {header for header in set(here) & set(there) if header[0] not in framing}
    kept = [[header for header in headers if header in both] for headers in (here, there)]
    if kept[0] != kept[1] and not lost | gained:
        yield f"{whose}order"


def _plain(headers: tuple[Header, ...]) -> list[Header]:
    return [(name.lower(), value) for name, value in headers]


def _named(message: Message) -> frozenset[bytes]:
    return frozenset(name.lower() for name, _ in message.headers)
