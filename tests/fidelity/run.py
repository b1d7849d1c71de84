"""One run of a case: the client's script played against a port, and what both ends saw."""

from __future__ import annotations

from tests.fidelity.cases import Case
from tests.fidelity.framing import answers, requests
from tests.fidelity.origin import PROBE, Origin
from tests.fidelity.refusals import Refusal
from tests.fidelity.rules import Seen
from tests.fidelity.wire import Peer, Signals, connected


async def played(case: Case, port: int, *origins: Origin) -> Seen:
    """What was seen, of the first of the origins that was asked anything."""
    signals = Signals()
    for origin in origins:
        origin.begin(*case.origin, signals=signals)
    sent = requests(b"".join(step for step in case.client if isinstance(step, bytes)))
    methods = [message.method for message in sent]
    async with connected(port) as client:
        await client.play(case.client, lambda: True, signals)
        alive = False
        if not case.left:
            await client.until(lambda: _finals(client, methods) >= len(sent))
            if all(message.complete for message in sent):
                alive = await _probed(client, [*methods, b"GET"])
    origin = next((origin for origin in origins if origin.received), origins[0])
    await origin.until(lambda: origin.finished == len(origin.received))
    seen = answers(client.raw, methods, ended=client.ended == "closed")
    return Seen(tuple(origin.received), tuple(seen[:-1] if alive else seen), alive)


async def refused(refusal: Refusal, port: int, *origins: Origin) -> Seen:
    """As `played`, for what is no HTTP; `alive` is False only if the connection was closed in order."""
    signals = Signals()
    for origin in origins:
        origin.begin(*refusal.origin, signals=signals)
    methods = [refusal.client[0].partition(b" ")[0]] * len(refusal.answered)
    async with connected(port) as client:
        await client.play(refusal.client, lambda: True, signals)
        await client.until(lambda: _finals(client, methods) >= len(refusal.answered))
        alive = not refusal.closes and await _probed(client, [*methods, b"GET"])
        if refusal.closes:
            await client.until(lambda: False)
            alive = client.ended != "closed"
    origin = next((origin for origin in origins if origin.received), origins[0])
    await origin.until(lambda: origin.finished == len(origin.received))
    seen = answers(client.raw, methods, ended=client.ended == "closed")
    return Seen(tuple(origin.received), tuple(seen[:-1] if alive else seen), alive)


def _finals(client: Peer, methods: list[bytes]) -> int:
    came = answers(client.raw, methods, ended=client.ended == "closed")
    return sum(message.complete and message.status >= 200 for message in came)


async def _probed(client: Peer, methods: list[bytes]) -> bool:
    """Whether the connection serves another request."""
    before = _finals(client, methods)
    await client.send(PROBE)
    await client.until(lambda: _finals(client, methods) > before)
    return client.raw.endswith(b"alive")
