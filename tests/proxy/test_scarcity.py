from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.address import Address
from proxy.orders import Orders
from proxy.scarcity import warn
from tests.proxy.test_orders import http, port_that

WORDS = ["at 10 requests/s a defect would be noticed in about 43 s", "legacy is asked 0.2 times a second"]


async def said(answer: bytes, capsys: pytest.CaptureFixture[str]) -> str:
    asked: list[bytes] = []

    def answers(request: bytes) -> bytes:
        asked.append(request.partition(b"\r\n")[0])
        return answer

    async with port_that(answers) as port:
        await asyncio.to_thread(warn, Orders(Address("127.0.0.1", port)), "/flags/things.list")
    assert asked == [b"GET /flags/things.list/outlook HTTP/1.1"]
    return capsys.readouterr().out


def told(**outlook: Any) -> bytes:
    return http("200 OK", json.dumps({"route": "things.list", "outlook": outlook or None}))


async def test_whoever_leaves_legacy_little_to_be_compared_with_hears_how_long_a_defect_would_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await said(told(scarce=True, words=WORDS), capsys) == (
        "At 10 requests/s a defect would be noticed in about 43 s.\nLegacy is asked 0.2 times a second.\n"
    )


@pytest.mark.parametrize(
    "answer",
    [told(scarce=False, words=WORDS), told(), http("503 Service Unavailable", '{"error": "not now"}')],
    ids=["legacy is asked enough", "nothing is known of the traffic", "the port has no answer"],
)
async def test_else_nothing_is_added_to_what_was_done(answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert await said(answer, capsys) == ""
