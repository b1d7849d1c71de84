"""Runs the cases through nginx and fastapi-proxy-lib, and writes what they make of them into docs/http.md."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import cores, versions
from bench.servers import nginx, peer
from demo.service import Service
from tests.fidelity.cases import Case
from tests.fidelity.origin import PROBE, Origin, running_origin
from tests.fidelity.peers import statuses, told, told_of_refusal
from tests.fidelity.refusals import REFUSALS
from tests.fidelity.rules import Rule, Seen, through
from tests.fidelity.run import played
from tests.fidelity.table import CASES
from tests.fidelity.wire import connected

PAGE = Path(__file__).parent.parent.parent / "docs" / "http.md"
BEGIN = "## Every case\n"
WORDS = """
`scripts/fidelity` wrote this on {date}, with {ran}, configured
as for the [benchmarks](../bench/README.md). *Direct* is what the client is answered without a proxy; the other columns
are what differs from that, and from what the origin is asked then. † is a difference that only requests have which go
through ASGI: those that native answers or that are compared, that are pipelined behind another, that ask for an upgrade
that is not offered, or that another of these proxies has signed.

The words of others, beside the above: `stalls` (what one end waits for does not come within 5 s), `not passed on`,
`malformed` (what comes out is no HTTP), `asked again`, `no answer`, `closes` (a connection that could have served on),
`breaks off` (an answer that was whole), `passes for whole` (one that was not), `body`, `order`, and `headers` that are
lost, added or changed without need. {everywhere}
"""
REFUSED = """
## Every refusal

What is malformed has no meaning without a proxy. `mended`: the origin is asked something well-formed instead; `passed
on`: what it gets can be read in two ways, or in none; `in part`: it gets the beginning; `hangs`: nothing for a second.
"""
EVERYWHERE = "What fastapi-proxy-lib does to every request is said here and nowhere below: {}."


async def main() -> None:
    lines: dict[str, list[str]] = {name: [] for name in [*(c.name for c in CASES), *(r.name for r in REFUSALS)]}
    for case in CASES:
        direct = await _direct(case)
        lines[case.name] += [statuses(direct, case), _ours(case, direct)]
    for refusal in REFUSALS:
        lines[refusal.name].append(refusal.told)
    with tempfile.TemporaryDirectory(prefix="strangler-fidelity-") as directory:
        for start in (_nginx, _fastapi_proxy_lib):
            await _ask(start, Path(directory), lines)
    PAGE.write_text(PAGE.read_text().partition(BEGIN)[0] + BEGIN + _tables(lines))


async def _ask(start: Callable[[Origin, Path], Service], directory: Path, lines: Mapping[str, list[str]]) -> None:
    async with running_origin() as origin:
        with start(origin, directory) as proxy:
            for case in CASES:
                await _settled(origin, proxy.port)
                lines[case.name].append(await told(case, await _direct(case), proxy.port, origin))
            for refusal in REFUSALS:
                await _settled(origin, proxy.port)
                lines[refusal.name].append(await told_of_refusal(refusal, proxy.port, origin))


def _tables(lines: Mapping[str, list[str]]) -> str:
    date, found = datetime.now(UTC).date().isoformat(), versions()
    numbers = found["nginx"].rpartition("/")[2], found["peers' fastapi-proxy-lib"], found["peers' httpx"]
    ran = "nginx {}, fastapi-proxy-lib {} on httpx {}".format(*numbers)
    always = lines[CASES[0].name][-1]  # the plainest request of all
    everywhere = EVERYWHERE.format(always)
    for case in CASES:
        lines[case.name][-1] = ", ".join(w for w in lines[case.name][-1].split(", ") if w not in always.split(", "))
    rows = {name: f"| {name} | {' | '.join(cell or 'as sent' for cell in cells)} |\n" for name, cells in lines.items()}
    cases = "| case | direct | through us | through nginx | through fastapi-proxy-lib |\n|---|---|---|---|---|\n"
    refusals = "| case | through us | through nginx | through fastapi-proxy-lib |\n|---|---|---|---|\n"
    return "".join(
        [
            WORDS.format(date=date, ran=ran, everywhere=everywhere),
            "\n" + cases,
            *[rows[case.name] for case in CASES],
            REFUSED,
            "\n" + refusals,
            *[rows[refusal.name] for refusal in REFUSALS],
        ]
    )


async def _direct(case: Case) -> Seen:
    async with running_origin() as origin:
        return await played(case, origin.port, origin)


def _ours(case: Case, direct: Seen) -> str:
    """The named differences; the suite says whether they are all."""
    relayed, on_asgi = (through(direct, case, 0, relayed=way)[1] for way in (True, False))
    words = [rule.value + ("" if rule in relayed else "†") for rule in Rule if rule in relayed | on_asgi]
    return ", ".join(words) or "as sent"


def _nginx(origin: Origin, directory: Path) -> Service:
    return nginx(origin.port, cores().measured, directory)


def _fastapi_proxy_lib(origin: Origin, directory: Path) -> Service:
    return peer("fastapi-proxy-lib", "bench.peers.fastapi_proxy", origin.port, cores().measured, directory)


async def _settled(origin: Origin, port: int) -> None:
    """What one case has left at either end is no business of the next one's."""
    origin.end()
    await origin.until(lambda: origin.open == 0)
    async with connected(port) as client:
        await client.send(PROBE)
        await client.until(lambda: client.raw.endswith(b"alive"))


if __name__ == "__main__":
    asyncio.run(main())
