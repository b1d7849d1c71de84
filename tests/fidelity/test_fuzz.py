"""Whatever comes: the origin gets nothing but HTTP, nobody is left hanging, and nothing is left behind."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.proxies import Proxy, running, until
from tests.fidelity.cases import TE, ask, chunked
from tests.fidelity.framing import answers
from tests.fidelity.fuzzing import AT_ONCE, REFUSED, Gun, Judge, answer_seeds, judging, mutant, seeds
from tests.fidelity.generated import MALFORMED, WELL_FORMED, Request
from tests.fidelity.wire import connected

ROUTES = [
    {"name": "native", "match": "POST /put", "share": "100%"},
    {"name": "native.given", "match": "GET /given", "share": "100%"},
    {"name": "shadowed", "match": "GET /h", "shadow": "100%"},
    {"name": "matched", "match": "GET /plain"},
]
QUESTIONS = [
    ask("GET /h"),
    ask("HEAD /h"),
    ask("GET /given"),
    ask("GET /free"),
    ask("POST /put", TE, body=chunked(b"a")),
]
MANY = pytest.mark.parametrize(
    "number", [3_000, pytest.param(200_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
EXAMPLES = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Target:
    """A proxy between two origins. No dataclass: of one, Hypothesis would print all that the origins have seen."""

    def __init__(self, proxy: Proxy, legacy: Judge, native: Judge) -> None:
        self.proxy, self.legacy, self.native = proxy, legacy, native
        self.tasks = proxy.metric("strangler_tasks")

    @property
    def faults(self) -> list[str]:
        return self.legacy.faults + self.native.faults

    def complaints(self) -> list[dict[str, Any]]:
        """What the proxy has logged of faults of its own."""
        return [entry for entry in self.proxy.logged() if entry["level"] not in ("info", "warning")]

    def is_at_rest(self) -> bool:
        """Whether nothing is under way: nobody waits, and the only connections to sides are idle ones."""
        if self.proxy.metric("strangler_tasks") > self.tasks:
            return False
        states = {state: self.proxy.metric("strangler_pool", state=state) for state in ("busy", "waiting", "idle")}
        left = states["busy"] + states["waiting"] + self.proxy.metric("strangler_tunnels")
        return left == 0 and states["idle"] == self.legacy.open + self.native.open

    async def ask(self, raw: bytes, cut: int, *, closes: bool) -> list[int]:
        """The statuses of what is answered to a request that is sent in two pieces."""
        self.legacy.seen.clear()
        async with connected(self.proxy.service.port) as client:
            await client.send(raw[:cut])
            await client.send(raw[cut:])
            await client.until(lambda: not closes and client.raw.endswith(b"\r\n\r\n"))
            return [message.status for message in answers(client.raw, [], ended=True)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with judging() as legacy, judging() as native:
        sides = {"legacy": legacy, "native": native}
        config = {name: {"url": f"http://127.0.0.1:{side.port}"} for name, side in sides.items()}
        with running(tmp_path_factory.mktemp("fuzz"), {**config, "routes": ROUTES}) as proxy:
            until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
            yield Target(proxy, legacy, native)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", [3_000, pytest.param(200_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
async def test_mutants_of_requests_reach_nobody_but_as_http(number: int, target: Target) -> None:
    seed = time.time_ns()
    chance, grown = random.Random(seed), seeds()  # noqa: S311  # chance, not secrecy
    gun, counts = Gun(target.proxy.service.port, chance), Counter[int]()
    async with gun.ready():
        await gun.probe()
        for _ in range(number // AT_ONCE):
            target.legacy.seen.clear()
            target.native.seen.clear()
            for sender in await gun.fire([mutant(chance, grown) for _ in range(AT_ONCE)]):
                counts.update(sender.statuses())
            assert target.faults == [], f"seed {seed}"
        await gun.probe()
    assert counts.keys() <= {100, 200, 405} | REFUSED, f"seed {seed}"  # 405: a TRACE that is to go no further
    assert min(counts[200], counts[400], target.legacy.asked, target.native.asked) > number // 100
    await asyncio.to_thread(until, target.proxy, target.is_at_rest)
    assert target.complaints() == [], f"seed {seed}"


@pytest.mark.asyncio(loop_scope="module")
@MANY
async def test_mutants_of_answers_reach_nobody_but_as_http(number: int, target: Target) -> None:
    seed = time.time_ns()
    chance, grown = random.Random(seed), answer_seeds()  # noqa: S311  # as above
    gun, counts = Gun(target.proxy.service.port, chance), Counter[int]()

    def lie() -> bytes:
        return mutant(chance, grown)

    async with gun.ready():
        for _ in range(number // AT_ONCE):
            with target.legacy.answering(lie), target.native.answering(lie):
                senders = await gun.fire(chance.choices(QUESTIONS, k=AT_ONCE), target.legacy, target.native)
            for sender in senders:
                came = sender.answers()
                assert all(message.complete for message in came[:-1]), f"seed {seed}"
                assert not [m for m in came for name, _ in m.headers if name.startswith(b"x-strangler-")], (
                    f"seed {seed}"
                )
                counts.update(message.status for message in came)
    assert all(status < 600 for status in counts), f"seed {seed}"
    assert min(counts[200], counts[502]) > number // 100
    assert target.faults == [], f"seed {seed}"
    await asyncio.to_thread(until, target.proxy, target.is_at_rest)
    assert target.complaints() == [], f"seed {seed}"


@pytest.mark.asyncio(loop_scope="module")
@EXAMPLES
@given(request=WELL_FORMED, cut=st.integers(0, 500))
async def test_whatever_is_well_formed_arrives_as_it_was_sent(request: Request, cut: int, target: Target) -> None:
    assert await target.ask(request.raw(), cut, closes=False) == [200]
    [came] = target.legacy.seen
    assert came.start == b"%b %b HTTP/1.1" % (request.method, request.target)
    own = [(name, value) for name, value in came.headers if name.startswith(b"own-")]
    assert own == [(name.lower(), value) for name, value in request.headers]
    assert came.body == b"".join(request.parts)
    assert target.faults == []


@pytest.mark.asyncio(loop_scope="module")
@EXAMPLES
@given(request=MALFORMED, cut=st.integers(0, 500))
async def test_whatever_is_malformed_arrives_nowhere(request: Request, cut: int, target: Target) -> None:
    statuses = await target.ask(request.raw(), cut, closes=True)
    assert len(statuses) == 1
    assert REFUSED.issuperset(statuses)
    assert target.legacy.seen == []


SMUGGLED = ask("GET /h", b"Via: 1.1 strangler", b"X-Request-Id: 1")
FAULTS = {
    "a request that did not come through the proxy": ask("GET /h"),
    "one within what is another's body for somebody else": SMUGGLED + ask("GET /h"),
    "one of another's request ids": ask("GET /h", b"Via: 1.1 strangler", b"X-Request-Id: 1", b"X-Request-Id: 2"),
    "two lengths": ask("POST /h", b"Content-Length: 0", b"Content-Length: 0"),
    "a length and chunks": ask("POST /h", b"Content-Length: 0", TE),
    "a bad chunk": ask("POST /h", TE, b"Via: 1.1 strangler", b"X-Request-Id: 1", body=b"0x0\r\n\r\n"),
    "a bare LF": SMUGGLED.replace(b"\r\nVia", b"\nVia"),
    "half a head": SMUGGLED[:-9],
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_judge_misses_nothing(fault: str) -> None:
    async with judging() as judge:
        async with connected(judge.port) as proxy:
            await proxy.send(SMUGGLED)
            await proxy.until(lambda: proxy.raw.endswith(b"\r\n\r\n"))
            assert judge.faults == []
            await proxy.send(FAULTS[fault])
            proxy.close()
        await judge.left.wait()
        assert len(judge.faults) == 1
