from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from proxy.answer import refusal_on_wire
from proxy.errors import Broken, NoAnswer, Refused, SideFailed
from tests.fidelity.cases import ask
from tests.fidelity.framing import Framing, answers
from tests.fidelity.wire import connected
from tests.proxy.stage import NOWHERE, eventually, staged


@pytest.mark.parametrize(
    ("failure", "start", "error"),
    [
        (Refused("no"), b"HTTP/1.1 502 Bad Gateway", "legacy_refused"),
        (Broken("no"), b"HTTP/1.1 502 Bad Gateway", "legacy_broken"),
        (NoAnswer("no"), b"HTTP/1.1 504 Gateway Timeout", "legacy_timeout"),
    ],
)
def test_a_failed_upgrade_is_answered_whole_and_for_the_last_time(
    failure: SideFailed, start: bytes, error: str
) -> None:
    [told] = answers(refusal_on_wire("legacy", failure, "r-1"), [b"GET"], ended=True)
    assert (told.start, told.framing, told.complete) == (start, Framing.LENGTH, True)
    assert json.loads(told.body) == {"error": error, "requestId": "r-1"}
    assert told.values(b"connection") == [b"close"]
    assert told.values(b"x-request-id") == [b"r-1"]


async def test_an_upgrade_is_recorded_without_its_query_where_tokens_travel() -> None:
    with capture_logs() as logs:
        async with staged(legacy={"url": NOWHERE}) as stage, connected(stage.port) as user:
            headers = b"Connection: Upgrade", b"Upgrade: websocket", b"X-Request-Id: r-1"
            await user.send(ask("GET /cable?token=secret", *headers))
            await user.until(lambda: user.ended is not None)
            await eventually(lambda: any(record["event"] == "upgrade" for record in logs))
    [record] = [record for record in logs if record["event"] == "upgrade"]
    assert record["target"] == "/cable"
    assert (record["request_id"], record["client"], record["status"]) == ("r-1", "127.0.0.1", 502)
    assert record["failure"].startswith("no connection to 127.0.0.1:1: ")
