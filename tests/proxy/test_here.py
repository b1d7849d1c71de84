from __future__ import annotations

from typing import Any

import pytest

from proxy.exposition import Family
from proxy.here import Here
from proxy.hops import Arrived
from proxy.strict import MALFORMED
from tests.fidelity.cases import ask
from tests.fidelity.framing import answers
from tests.fidelity.origin import OK
from tests.fidelity.wire import Hear, Signals, Whole, connected
from tests.proxy.stage import staged
from tests.proxy.test_both_ways import record
from tests.proxy.ways import WAYS, before_legacy, on

LAST = b"Max-Forwards: 0"
RECORDED: dict[str, Any] = {"log": {"access": True}}


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("TRACE", 405)])
@pytest.mark.parametrize("way", WAYS)
async def test_a_request_that_goes_no_further_is_counted_recorded_and_told_its_id(
    way: str, method: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    async with staged(**RECORDED, trusted_proxies=["127.0.0.0/8"]) as stage, connected(stage.port) as user:
        forwarded = b"X-Forwarded-For: 10.0.0.9"
        await user.send(on(way, f"{method} /things?secret=1", LAST, b"X-Request-Id: 0123456789abcdef", forwarded))
        await user.until(lambda: user.ended is not None)
        [told] = answers(user.raw, [method.encode()], ended=True)
        assert (told.status, told.values(b"x-request-id")) == (status, [b"0123456789abcdef"])
        assert b'"requestId": "0123456789abcdef"' in told.body
        assert stage.metric("answered_here_total", status=str(status)) == 1
        assert await record(capfd, "0123456789abcdef") == {
            "client": "10.0.0.9", "method": method, "path": "/things", "status": status, "route": None, "side": None,
            "reason": "max_forwards", "asked_last": None, "failure": None, "withheld": None, "left": False,
            "level": "info",
        }  # fmt: skip


async def test_a_request_that_goes_no_further_has_an_id_of_its_own_whatever_a_stranger_says(
    capfd: pytest.CaptureFixture[str],
) -> None:
    signals = Signals()
    async with (
        before_legacy((Whole(), Hear("go"), *OK[1:]), signals=signals, stage=RECORDED) as (stage, origin),
        connected(stage.port) as user,
    ):
        await user.send(ask("GET /things/1") + ask("OPTIONS *", LAST) + ask("GET /things/2"))
        await origin.until(lambda: len(origin.received) == 1)
        assert stage.metric("answered_here_total", status="200") == 0
        signals["go"].set()
        await user.until(lambda: user.ended is not None)
        [_, told] = answers(user.raw, [b"GET", b"OPTIONS"], ended=True)
        [request_id] = told.values(b"x-request-id")
        assert (await record(capfd, request_id.decode()))["path"] == "*"
        assert len(origin.received) == 1


async def test_what_is_refused_is_counted_by_its_status() -> None:
    async with staged() as stage:
        for malformed in (b"no HTTP\r\n\r\n", ask("GET /x", b"X-A: " + bytes([65]) * 100_000)):
            async with connected(stage.port) as user:
                await user.send(malformed)
                await user.until(lambda user=user: user.ended is not None)  # type: ignore[misc]  # one each round
        assert [stage.metric("answered_here_total", status=status) for status in ("400", "431", "200")] == [1, 1, 0]


def test_without_access_records_it_is_counted_all_the_same() -> None:
    family = Family("counter", "told", "What was told", "status")
    for word in (Arrived("id", "10.0.0.9", "OPTIONS", b"/", 0.0), MALFORMED):
        Here(family).told(word)
    assert [family.labels(status).value for status in ("200", "400")] == [1.0, 1.0]
