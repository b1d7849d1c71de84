"""One proxy behind another: the marks of the first are worth something to the second if they share a secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shadow.pacer import LOOKS
from shadow.yielding import Cause
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Script, Whole
from tests.proxy.stage import Stage, eventually, settled, staged

MARK, COMPARED = b"x-strangler-shadow", b"x-strangler-compared"
REFUSED: Script = (Whole(), b"HTTP/1.1 503 No\r\nX-Strangler-Shadow: refused\r\nContent-Length: 0\r\n\r\n")
ROLE = "x-strangler-role"
IS_BUSY: Script = (Whole(), b"HTTP/1.1 200 OK\r\nX-Strangler-Busy: 1\r\nContent-Length: 2\r\n\r\nok")
AS_AGENT: Script = (Whole(), b"HTTP/1.1 200 OK\r\nX-Strangler-Role: agent\r\nContent-Length: 2\r\n\r\nok")
READ = {"name": "read", "match": "GET /x", "shadow": "100%"}
ONCE = {"shadow": {"noise": "0%"}}  # nobody is asked twice to learn its noise


@dataclass(frozen=True, slots=True)
class Chain:
    """Users come to the first, whose legacy is the second. Each compares every request with a native of its own."""

    first: Stage
    second: Stage
    legacy: Origin
    native: Origin

    def counted(self) -> float:
        """The requests of users, as the second one counts them."""
        return self.second.metric("requests_total", route="read", side="legacy", outcome="ok")


@asynccontextmanager
async def chained(share: str, *secrets: Path | None, behind: int = 0) -> AsyncIterator[Chain]:
    """`share`: the first one's native share; what native does not answer, it is compared with. `behind`: the port of
    the second one's legacy, if it is another than `Chain.legacy`."""
    async with running_origin() as legacy, running_origin() as native, running_origin() as nearer:
        one, two = ({"secret": str(path)} if path else {} for path in secrets)
        between: dict[str, Any] = {"legacy": _at(behind or legacy.port), "native": _at(native.port), **two}
        async with staged(**between, **ONCE, routes=[READ]) as second:
            route = {**READ, "share": share}
            ahead: dict[str, Any] = {"legacy": _at(second.port), "native": _at(nearer.port), "routes": [route], **one}
            async with staged(**ahead, **ONCE) as first:
                yield Chain(first, second, legacy, native)


def _at(port: int) -> dict[str, str]:
    return {"url": f"http://127.0.0.1:{port}"}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return _written(tmp_path / "secret", "0123456789abcdef0123456789abcdef\n")


@pytest.fixture
def another(tmp_path: Path) -> Path:
    return _written(tmp_path / "another", "another secret of another fleet...")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def compared(chain: Chain) -> None:
    """Return once the first proxy has compared a request whose answer came from its native."""
    labels = {"route": "read", "candidate": "legacy", "outcome": "matched"}
    await eventually(lambda: chain.first.metric("comparisons_total", **labels) == 1)


async def test_a_comparison_is_neither_compared_nor_counted_again_by_the_proxy_behind(secret: Path) -> None:
    async with chained("100%", secret, secret) as chain:
        response = await chain.first.user.get("/x", headers={"x-request-id": "r-7"})
        assert response.text == "ok"
        await compared(chain)
        assert [came.values(MARK) for came in chain.legacy.received] == [[b"r-7"]]
        assert await settled(lambda: len(chain.native.received)) == 0
        assert chain.counted() == 0


async def test_what_has_become_of_its_shadow_is_told_to_the_proxy_in_front_and_to_no_user(secret: Path) -> None:
    async with chained("100%", secret, secret) as chain:
        chain.legacy.begin(REFUSED)
        response = await chain.first.user.get("/x")
        assert MARK.decode() not in response.headers
        labels = {"route": "read", "candidate": "legacy", "outcome": "unanswered"}
        await eventually(lambda: chain.first.metric("comparisons_total", **labels) == 1)
        assert MARK.decode() not in (await chain.second.user.get("/x")).headers


async def test_as_whom_its_shadow_was_asked_is_told_to_the_proxy_in_front_and_to_no_user(secret: Path) -> None:
    async with chained("100%", secret, secret) as chain:
        chain.legacy.begin(AS_AGENT)
        assert ROLE not in (await chain.first.user.get("/x")).headers
        await compared(chain)
        parities = chain.first.strangler.parities
        await parities.look()
        assert [str(stratum) for stratum in parities.of("read").strata] == ["200 for agent"]
        chain.legacy.begin(AS_AGENT)
        assert ROLE not in (await chain.second.user.get("/x")).headers


async def test_that_its_side_is_busy_is_told_to_the_proxy_in_front_and_to_no_user(secret: Path) -> None:
    async with chained("100%", secret, secret) as chain:
        chain.legacy.begin(IS_BUSY)
        assert "x-strangler-busy" not in (await chain.first.user.get("/x")).headers
        await compared(chain)
        pacer = chain.first.strangler.pacer
        for _ in range(LOOKS):
            pacer.looked(0.0)
        assert chain.first.metric("shadow_yielding", cause=Cause.CANDIDATE_BUSY.value) == 1
        chain.legacy.begin(IS_BUSY)
        assert "x-strangler-busy" not in (await chain.second.user.get("/x")).headers


async def test_users_requests_are_compared_and_counted_by_both(secret: Path) -> None:
    async with chained("0%", secret, secret) as chain:
        await chain.first.user.get("/x")
        await eventually(lambda: len(chain.native.received) == 1)
        assert [came.values(MARK) for came in chain.legacy.received] == [[]]
        assert chain.counted() == 1


async def test_without_a_shared_secret_a_comparison_is_counted_but_not_compared_again(
    secret: Path, another: Path
) -> None:
    for secrets in ((secret, another), (secret, None), (None, secret), (None, None)):
        async with chained("100%", *secrets) as chain:
            await chain.first.user.get("/x")
            await compared(chain)
            assert [came.values(MARK) for came in chain.legacy.received] == [[]]
            assert await settled(partial(lambda chain: len(chain.native.received), chain)) == 0
            assert chain.counted() == 1


async def test_a_mark_from_outside_reaches_no_side_and_only_keeps_its_request_from_being_compared(secret: Path) -> None:
    async with chained("0%", secret, secret) as chain:
        for spelled in ("X-Strangler-Shadow", "x-strangler-shadow"):
            assert (await chain.second.user.get("/x", headers={spelled: "forged"})).text == "ok"
        assert [came.values(MARK) for came in chain.legacy.received] == [[], []]
        assert await settled(lambda: len(chain.native.received)) == 0
        assert chain.counted() == 2
        assert (await chain.second.user.get("/x", headers={"X_Strangler_Shadow": "forged"})).text == "ok"
        await eventually(lambda: len(chain.native.received) == 1)  # that is no mark
        told = [[name for name, _ in came.headers if b"trangler" in name] for came in chain.legacy.received]
        assert told == [[COMPARED], [COMPARED], []]


async def test_of_three_in_a_row_that_share_no_secret_one_compares_what_a_user_asks(
    secret: Path, another: Path
) -> None:
    async with running_origin() as last, running_origin() as native:
        sides: dict[str, Any] = {"legacy": _at(last.port), "native": _at(native.port), "secret": str(another)}
        async with (
            staged(**sides, **ONCE, routes=[READ]) as third,
            chained("100%", secret, None, behind=third.port) as chain,
        ):
            await chain.first.user.get("/x")
            await compared(chain)
            assert [came.values(COMPARED) for came in last.received] == [[b"1"]]
            assert await settled(lambda: len(native.received) + len(chain.native.received)) == 0
            assert third.metric("requests_total", route="read", side="legacy", outcome="ok") == 1
