"""Whatever way an answer of legacy's takes, it is decided, counted and recorded the same."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flags.flag import Side
from flags.window import NONE, Counts
from tests.fidelity.cases import TE, answer, length
from tests.fidelity.origin import OK
from tests.fidelity.wire import Close, Gone, Hear, Script, Signals, Tell, Until, Whole, connected
from tests.proxy.slow import taking
from tests.proxy.stage import Stage, eventually, staged
from tests.proxy.ways import ROUTES, WAYS, before_legacy, booked, on

JUDGED = [{**route, "share": "0.01%"} for route in ROUTES]  # legacy's answers are evidence only where native is asked


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, what legacy plays, and what has to be said of it. When it is asked, the user `leaves`, or sends
    what comes `then`."""

    line: str
    says: dict[str, Any]
    script: Script = OK
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    leaves: bool = False
    then: bytes = b""
    knobs: dict[str, Any] = field(default_factory=dict)


def says(status: int, outcome: str = "ok", failure: str | None = None, route: str = "read") -> dict[str, Any]:
    return {"status": status, "outcome": outcome, "failure": failure, "route": route, "left": outcome == "excluded"}


NO = answer("404 Not Found", length(0))
OOPS = answer("500 Oops", length(4), body=b"oops")
HALF = answer("200 OK", length(9), body=b"half")
QUESTIONS = {
    "a read": Question("GET /things/1?secret=1", says(200)),
    "a read of nothing": Question("GET /things/1", says(404), (Whole(), NO)),
    "no body": Question("HEAD /things/1", says(200), (Whole(), answer("200 OK", length(9)))),
    "a write": Question("POST /things", says(200, route="write"), OK, (length(3),), b"abc"),
    "a write in chunks": Question("POST /things", says(200, route="write"), OK, (TE,), b"3\r\nabc\r\n0\r\n\r\n"),
    "outside every route": Question("GET /other", says(200, route="unmatched")),
    "an error of legacy's own": Question("GET /things/1", says(500, "failed", "5xx"), (Whole(), OOPS)),
    "no answer": Question("GET /things/1", says(502, "failed", "broken"), (Whole(), Close())),
    "half an answer": Question("GET /things/1", says(200, "failed", "broken"), (Whole(), HALF, Close())),
    "silence": Question(
        "GET /things/1", says(504, "failed", "timeout"), (Whole(), Gone()), knobs={"first_byte": "50ms"}
    ),
    "half an answer, and silence": Question(
        "GET /things/1", says(200, "failed", "timeout"), (Whole(), HALF, Gone()), knobs={"between_bytes": "50ms"}
    ),
    "a user who leaves": Question("GET /things/1", says(0, "excluded"), (Whole(), Tell("there"), Gone()), leaves=True),
    "a user who leaves amid a write": Question(
        "POST /things", says(0, "excluded", route="write"), (Until(b"abc"), Tell("there"), Gone()),
        (length(6),), b"abc", leaves=True,
    ),
    "a write that turns out to be no HTTP": Question(
        "POST /things", says(400, "excluded", route="write"), (Until(b"abc"), Tell("there"), Gone()),
        (TE,), b"3\r\nabc\r\n", then=b"zz\r\n",
    ),
    "an answer amid a write": Question(
        "POST /things", says(413, route="write"), (Until(b"abc"), answer("413 Large", length(0)), Gone()),
        (length(6),), b"abc",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a proxy has to say of the one request that it was asked."""

    metrics: dict[tuple[str, ...], float]
    window: dict[tuple[str, Side], Counts]
    record: dict[str, Any]


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_request_is_counted_and_recorded_the_same_on_both_ways(
    question: str, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = QUESTIONS[question]
    relayed, by_asgi = [await told(way, asked, capfd) for way in WAYS]
    assert relayed == by_asgi
    record = relayed.record
    assert {name: record[name] for name in ("status", "failure", "route", "left")}.items() <= asked.says.items()
    assert (record["method"], record["path"]) == (asked.line.split()[0], asked.line.split()[1].partition("?")[0])
    outcome, route = asked.says["outcome"], asked.says["route"]
    assert relayed.metrics["strangler_requests_total", "legacy", outcome, route] == 1
    counts = relayed.window.get((route, Side.LEGACY))
    judged = Counts(asked=1, subjects=int(outcome != "excluded"), **{outcome: 1})
    assert counts == (None if route == "unmatched" else judged)


UNHEARD = {
    "what legacy fails": Question("GET /things/1", says(502, "failed", "broken"), (Whole(), Close())),
    "what legacy answers": Question("GET /things/1", says(200)),
}


@pytest.mark.parametrize("question", UNHEARD)
@pytest.mark.parametrize("way", WAYS)
async def test_without_access_records_there_are_those_of_what_failed(
    way: str, question: str, capfd: pytest.CaptureFixture[str]
) -> None:
    asked, first, last = UNHEARD[question], uuid4().hex, uuid4().hex
    ends: Script = (Whole(), Close())
    async with before_legacy(asked.script, ends, stage={"routes": JUDGED}) as (stage, _):
        for request_id in (first, last):  # the last one fails: by then all is written that is
            async with connected(stage.port) as user:
                await user.send(on(way, asked.line, b"X-Request-Id: " + request_id.encode(), b"Connection: close"))
                await user.until(lambda user=user: user.ended is not None)  # type: ignore[misc]  # one each round
        lines: list[str] = []

        def come() -> bool:
            lines.extend(line for line in capfd.readouterr().out.splitlines() if first in line or last in line)
            return any(last in line for line in lines)

        await eventually(come)
    statuses = [json.loads(line)["status"] for line in lines]
    assert statuses == ([502, 502] if asked.says["failure"] else [502])


async def told(way: str, asked: Question, capfd: pytest.CaptureFixture[str]) -> Told:
    signals, sections = Signals(), {"log": {"access": True}, "routes": JUDGED}
    async with before_legacy(asked.script, signals=signals, stage=sections, **asked.knobs) as (stage, _):
        async with connected(stage.port) as user:
            request_id = uuid4().hex  # the records of earlier tests may still be on their way
            named = b"X-Request-Id: " + request_id.encode()
            await user.send(on(way, asked.line, named, *asked.headers, body=asked.body))
            if asked.leaves or asked.then:
                await signals["there"].wait()
            if asked.then:
                await user.send(asked.then)
                await user.until(lambda: user.ended is not None)
            if not asked.leaves:
                await eventually(lambda: bool(booked(stage, asked.says["route"])))
        await stage.quiet()
        await eventually(lambda: stage.connections == 0)
        return Told(metrics(stage), window(stage), await record(capfd, request_id))


def metrics(stage: Stage) -> dict[tuple[str, ...], float]:
    """All that has been counted; durations by their number."""
    families = text_string_to_metric_families(stage.strangler.metrics.exposition().decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels, key=_NAMES.index))): sample.value
        for sample in samples
        if sample.name.startswith("strangler_") and sample.name.endswith(("_total", "_count")) and sample.value
    }


_NAMES = ["side", "outcome", "kind", "status", "route", "reason", "candidate"]


def window(stage: Stage) -> dict[tuple[str, Side], Counts]:
    found: dict[tuple[str, Side], Counts] = defaultdict(lambda: NONE)
    for (_, route, side), counts in stage.strangler.loop.window.cells().items():
        found[route, side] += counts
    return dict(found)


async def record(capfd: pytest.CaptureFixture[str], request_id: str) -> dict[str, Any]:
    """The one of this request, without what differs from request to request."""
    lines: list[str] = []

    def come() -> bool:
        lines.extend(line for line in capfd.readouterr().out.splitlines() if request_id in line)
        return bool(lines)

    await eventually(come)
    [line] = lines
    read: dict[str, Any] = json.loads(line)
    assert (read.pop("request_id"), read.pop("event")) == (request_id, "request")
    assert (read.pop("ms") >= 0, len(read.pop("timestamp"))) == (True, 27)
    return read


def waits(stage: Stage, *, waiting: int, resting: int) -> bool:
    """Whether legacy keeps so many writers waiting, and so many others are under way."""
    counts = window(stage).get(("write", Side.LEGACY), NONE)
    return (counts.waiting, counts.resting) == (waiting, resting)


@pytest.mark.parametrize("way", WAYS)
async def test_legacy_keeps_nobody_waiting_who_is_still_sending_or_whose_answer_flows(way: str) -> None:
    signals, slow_over = Signals(), 0.3
    script: Script = (Until(b"abc"), Whole(), HALF, Hear("seen"), b"w", Hear("told"), b"hole")
    routes = [{**route, "slow_over": f"{slow_over}s"} for route in JUDGED]
    async with before_legacy(script, signals=signals, stage={"routes": routes}) as (stage, _):
        async with connected(stage.port) as user:
            await user.send(on(way, "POST /things", length(6), body=b"abc"))
            await eventually(lambda: waits(stage, waiting=0, resting=1))
            await user.send(b"def")
            await user.until(lambda: user.raw.endswith(b"half"))
            asyncio.get_running_loop().call_later(1.2 * slow_over, signals["seen"].set)
            await eventually(lambda: waits(stage, waiting=1, resting=0))  # this may be all that legacy will ever say
            await eventually(lambda: waits(stage, waiting=0, resting=1))
            await eventually(lambda: waits(stage, waiting=1, resting=0))  # it has fallen silent
            signals["told"].set()
            await eventually(lambda: bool(booked(stage, "write")))
        assert window(stage)["write", Side.LEGACY] == Counts(asked=1, ok=1, subjects=1)


@pytest.mark.parametrize("way", WAYS)
async def test_legacy_keeps_nobody_waiting_who_takes_no_more_of_his_answer(way: str) -> None:
    large, routes = 64 << 20, [{**route, "slow_over": "1h"} for route in JUDGED]
    script: Script = (Whole(), answer("200 OK", length(large), body=bytes(large)))
    async with before_legacy(script, stage={"routes": routes}) as (stage, _), taking(stage) as user:
        user.ask(on(way, "POST /things", length(0)))
        await eventually(lambda: waits(stage, waiting=0, resting=1))
        await user.take(large)
        await eventually(lambda: bool(booked(stage, "write")))
        assert window(stage)["write", Side.LEGACY] == Counts(asked=1, ok=1, subjects=1)


@pytest.mark.parametrize("way", WAYS)
async def test_a_legacy_that_takes_no_more_of_an_upload_keeps_its_user_waiting(way: str) -> None:
    large = 64 << 20  # more than sockets hold
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        legacy = {"url": f"http://127.0.0.1:{hangs.getsockname()[1]}"}
        async with (
            staged(legacy=legacy, routes=JUDGED) as stage,
            connected(stage.port) as user,
            asyncio.TaskGroup() as tasks,
        ):
            await user.send(on(way, "POST /things", length(large), body=b"x"))
            await eventually(lambda: waits(stage, waiting=0, resting=1))
            tasks.create_task(user.send(b"x" * (large - 1)))
            try:
                await eventually(lambda: waits(stage, waiting=1, resting=0))
            finally:
                user.reset()  # what it has not sent yet would keep it open
                hangs.close()


@pytest.mark.parametrize("framing", [(length(5), b"hello"), (TE, b"5\r\nhello\r\n0\r\n\r\n")], ids=["length", "chunks"])
@pytest.mark.parametrize("way", WAYS)
async def test_an_upload_arrives_whole_or_not_at_all_on_a_connection_that_ends_as_it_comes_free(
    way: str, framing: tuple[bytes, bytes]
) -> None:
    header, body = framing
    answered_and_gone = Whole(), answer("200 OK", length(0)), Close()
    async with before_legacy(answered_and_gone, connections=1, wait="5s") as (stage, origin):
        for _ in range(20):
            async with connected(stage.port) as first, connected(stage.port) as second:
                await first.send(on(way, "GET /things/1"))
                await second.send(on(way, "POST /things", header, body=body))
                for user in (first, second):
                    await user.until(lambda user=user: b"\r\n\r\n" in user.raw)  # type: ignore[misc]  # one each round
        assert {message.body for message in origin.received if message.start.startswith(b"POST")} <= {b"hello"}
        assert origin.faults == []
