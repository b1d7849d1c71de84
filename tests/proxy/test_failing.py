"""Every way in which native can fail, at every point of its work: legacy answers, or the user sees it, and what may
have been kept is never asked twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from demo.service import Service, await_ready, free_port, launch
from proxy.fallback import REASONS
from tests.e2e.proxies import ROOT, environment, running, until
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Whole
from tests.handlers.relay import Relay
from tests.proxy.stage import Stage, eventually, staged
from tests.proxy.test_router import LEGACY as ANSWER
from tests.proxy.test_router import READ, WRITE, booked

APP = "tests.proxy.failing:app"
BUDGET = "1500ms"  # of a native that hangs: what it does before that is done by then, and what any other does
ROUTES = [{**READ, "share": "100%"}, {**WRITE, "share": "100%"}]
HERE, THERE = "in process", "by URL"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the user saw, and why legacy was not asked if it was not."""

    status: int
    words: str
    withheld: str | None = None


LEGACY = Seen(200, "legacy")
BROKEN_OFF = Seen(0, "", "begun")


def unsafe(status: int, words: str) -> Seen:
    return Seen(status, words, "ambiguous")


# By fault, place and method. `cut`: the connection to native is lost while it works; "after" its work was kept.
CELLS: dict[tuple[str, str], tuple[Seen, Seen]] = {
    ("raises-before", HERE): (LEGACY, unsafe(500, "native_exception")),
    ("raises-before", THERE): (LEGACY, unsafe(500, "Internal Server Error")),
    ("raises-after", HERE): (LEGACY, unsafe(500, "native_exception")),
    ("raises-after", THERE): (LEGACY, unsafe(500, "Internal Server Error")),
    ("discards", HERE): (LEGACY, LEGACY),
    ("discards", THERE): (LEGACY, LEGACY),
    ("fails-before", HERE): (LEGACY, unsafe(500, "native fails")),
    ("fails-before", THERE): (LEGACY, unsafe(500, "native fails")),
    ("fails-after", HERE): (LEGACY, unsafe(500, "native fails")),
    ("fails-after", THERE): (LEGACY, unsafe(500, "native fails")),
    ("hangs-before", HERE): (LEGACY, unsafe(504, "native_timeout")),
    ("hangs-before", THERE): (LEGACY, unsafe(504, "native_timeout")),
    ("hangs-after", HERE): (LEGACY, unsafe(504, "native_timeout")),
    ("hangs-after", THERE): (LEGACY, unsafe(504, "native_timeout")),
    ("ends-before", HERE): (LEGACY, unsafe(502, "native_broken")),
    ("ends-before", THERE): (LEGACY, unsafe(500, "Internal Server Error")),
    ("ends-after", HERE): (LEGACY, unsafe(502, "native_broken")),
    ("ends-after", THERE): (LEGACY, unsafe(500, "Internal Server Error")),
    ("cut-before", THERE): (LEGACY, unsafe(502, "native_broken")),
    ("cut-after", THERE): (LEGACY, unsafe(502, "native_broken")),
    ("breaks-after", HERE): (BROKEN_OFF, BROKEN_OFF),
    ("breaks-after", THERE): (BROKEN_OFF, BROKEN_OFF),
    ("dies-before", THERE): (LEGACY, unsafe(502, "native_broken")),
    ("dies-after", THERE): (LEGACY, unsafe(502, "native_broken")),
}
TABLE = [
    pytest.param(fault, place, method, seen, id=f"{fault} {place} {method}")
    for (fault, place), both in CELLS.items()
    for method, seen in zip(("GET", "POST"), both, strict=True)
]


def start_native(directory: Path) -> Service:
    port = free_port()
    service = launch(
        "native",
        [
            *(sys.executable, "-m", "uvicorn", APP, "--port", str(port), "--lifespan", "off"),
            *("--timeout-graceful-shutdown", "1"),  # those that hang would keep it from ending
        ],
        port=port,
        log=directory / f"native-{port}.log",
        environment=environment({}),
        directory=ROOT,
    )
    await_ready(service, lambda: "Uvicorn running" in service.log.read_text())
    return service


@pytest.fixture(scope="module")
def lasting_native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with start_native(tmp_path_factory.mktemp("native")) as service:
        yield service


@pytest.fixture
def native(request: pytest.FixtureRequest, fault: str, tmp_path: Path) -> Iterator[Service]:
    """One for all cells, but for those that kill it."""
    if not fault.startswith("dies"):
        yield request.getfixturevalue("lasting_native")
        return
    with start_native(tmp_path) as service:
        yield service


@asynccontextmanager
async def proxied(place: str, native: Service, **more: Any) -> AsyncIterator[tuple[Stage, Origin, Relay]]:
    """A proxy ahead of a scripted legacy and the failing native, to which, by URL, a relay leads."""
    there = f"http://relay@127.0.0.1:{native.port}"
    async with running_origin() as legacy, Relay(there) as relay:
        legacy.begin((Whole(), ANSWER))
        ways = {HERE: {"app": APP}, THERE: {"url": f"http://127.0.0.1:{urlsplit(relay.url).port}"}}
        sections = {"legacy": {"url": f"http://127.0.0.1:{legacy.port}"}, "native": {**ways[place], **more}}
        async with staged(**sections, routes=ROUTES) as stage:
            yield stage, legacy, relay


async def asked(stage: Stage, method: str, fault: str, ledger: Path) -> tuple[int, str]:
    path = {"GET": "/things/1", "POST": "/things"}[method]
    headers = {"X-Fault": fault, "X-Ledger": str(ledger)}
    try:
        answer = await stage.user.request(method, path, headers=headers)
    except httpx.RemoteProtocolError:
        return 0, ""
    return answer.status_code, answer.text


def noted(ledger: Path, what: str) -> int:
    return ledger.read_text().splitlines().count(what) if ledger.exists() else 0


@pytest.mark.parametrize(("fault", "place", "method", "seen"), TABLE)
async def test_whatever_native_does_the_user_is_answered_or_told_and_nothing_is_done_twice(
    fault: str, place: str, method: str, seen: Seen, native: Service, tmp_path: Path
) -> None:
    ledger, route = tmp_path / "ledger", "read" if method == "GET" else "write"
    cut, hangs = fault.startswith("cut"), fault.startswith("hangs")
    fault = fault.replace("cut", "hangs")
    async with (
        proxied(place, native, **({"budget": BUDGET} if hangs else {})) as (stage, legacy, relay),
        asyncio.TaskGroup() as tasks,
    ):
        await asked(stage, method, "nothing", ledger)  # so that the connection to native is one that was kept
        asking = tasks.create_task(asked(stage, method, fault, ledger))
        if cut:
            await eventually(lambda: noted(ledger, f"begun {fault}") == 1)
            await relay.cut()
        status, words = await asking
        assert status == seen.status, words
        assert seen.words in words
        await eventually(lambda: booked(stage, route, "native").get("failed") == 1)

        by_legacy = len(legacy.received)
        assert by_legacy == (1 if seen is LEGACY else 0)
        assert stage.metric("fallbacks_total", route=route) == by_legacy
        for reason in REASONS:
            withheld = stage.metric("fallbacks_withheld_total", route=route, reason=reason)
            assert withheld == (1 if seen.withheld == reason else 0)
        if method == "POST":
            kept = noted(ledger, f"kept {fault}")
            assert kept == (1 if fault.endswith("after") else 0)
            assert kept + by_legacy <= 1
        await eventually(lambda: stage.tasks <= stage.at_rest)
        assert stage.metric("fallbacks_open") == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", ["dies-before", "dies-after"])
def test_a_native_that_takes_the_proxy_with_it_ends_the_user_s_connection_and_nothing_is_asked_again(
    fault: str, method: str, lasting_native: Service, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"  # in which legacy, which is the same application, would note what it is asked
    sections = {"legacy": {"url": lasting_native.url}, "native": {"app": APP}, "routes": ROUTES}
    with running(tmp_path, sections) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        path = {"GET": "/things/1", "POST": "/things"}[method]
        with pytest.raises(httpx.TransportError):
            proxy.users.request(method, path, headers={"X-Fault": fault, "X-Ledger": str(ledger)})
    assert noted(ledger, f"begun {fault}") == 1
    assert noted(ledger, f"kept {fault}") == (1 if (method, fault) == ("POST", "dies-after") else 0)
