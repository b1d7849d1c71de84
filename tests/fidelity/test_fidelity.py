"""Every case twice, straight to the origin and through the proxy: only the named differences may show.

And what is no HTTP, through the proxy: nobody may be asked it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.fidelity.cases import Case, ask
from tests.fidelity.conftest import Way
from tests.fidelity.framing import Message
from tests.fidelity.origin import OK, running_origin
from tests.fidelity.refusals import REFUSALS, Refusal
from tests.fidelity.rules import FORWARDING, Rule, comparable, through
from tests.fidelity.run import played, refused
from tests.fidelity.table import CASES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "http.md").read_text()


def table(begin: str, end: str) -> dict[str, list[str]]:
    """The rows of the page's tables between two headings, by their first cell."""
    rows = re.findall(r"^\| (.+) \|$", PAGE.partition(begin)[2].partition(end)[0], re.MULTILINE)
    return {cells[0]: cells[1:] for cells in (row.split(" | ") for row in rows)}


EXPLAINED = table("## What is changed", "## Connections")
LISTED = table("## Every case", "## Every refusal")
LISTED_REFUSALS = table("## Every refusal", "\n## ")


def listed(name: str, *, relayed: bool) -> set[str]:
    """The words that the documentation has for a case; a dagger marks what the relay does not change."""
    words = LISTED[name][1].split(", ") if LISTED[name][1] != "as sent" else []
    return {word.removesuffix("†") for word in words if not (relayed and word.endswith("†"))}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_only_named_differences_show(case: Case, way: Way) -> None:
    async with running_origin() as origin:
        direct = await played(case, origin.port, origin)
    relayed = way.relays(case)
    expected, rules = through(direct, case, way.origins[0].port, relayed=relayed)
    seen = await played(case, way.port, *way.origins)
    assert [fault for origin in way.origins for fault in origin.faults] == []
    got, want = comparable(seen), comparable(expected)
    assert {rule.value for rule in rules} == listed(case.name, relayed=relayed)
    if Rule.ERROR not in rules:
        assert got == want
        return
    assert set(got.asked) == set(want.asked)  # a safe request may have been asked again, on another connection
    assert_told(seen.answered[-1])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
async def test_what_is_no_http_reaches_nobody(refusal: Refusal, way: Way) -> None:
    seen = await refused(refusal, way.port, *way.origins)
    assert [fault for origin in way.origins for fault in origin.faults] == []
    assert tuple(message.status for message in seen.answered) == refusal.answered
    assert {message.start for message in seen.asked} == set(refusal.asked)
    assert all(message.complete for message in seen.asked) != refusal.torn
    assert bool(way.origins[0].received) == bool(refusal.asked)
    assert seen.alive != refusal.closes
    last = seen.answered[-1]
    assert last.complete != refusal.breaks
    if last.status == 502:
        assert_told(last)
    elif last.status >= 400:
        assert last.values(b"connection") == [b"close"]


def assert_told(answer: Message) -> None:
    """That the proxy says of a side that it gave no answer."""
    error = json.loads(answer.body)
    assert (answer.status, error["error"].partition("_")[2]) == (502, "broken")
    assert answer.values(b"x-request-id") == [error["requestId"].encode()]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_forwarding_headers_are_those_that_are_named_and_no_others(way: Way) -> None:
    plain = Case("", (ask("GET /plain"),), (OK,))
    seen = await played(plain, way.port, *way.origins)
    added = [name for name, _ in seen.asked[0].headers if name != b"host"]
    assert sorted(added) == sorted(FORWARDING - {b"tracestate"})  # the state of a trace that nobody began


def test_every_case_and_every_difference_is_in_the_documentation() -> None:
    assert list(LISTED)[1:] == [case.name for case in CASES]
    assert [(name, cells[0]) for name, cells in LISTED_REFUSALS.items()][1:] == [(r.name, r.told) for r in REFUSALS]
    assert list(EXPLAINED)[1:] == [rule.value for rule in Rule]


def test_there_are_no_two_cases_of_one_name() -> None:
    names = [*(case.name for case in CASES), *(refusal.name for refusal in REFUSALS)]
    assert len(set(names)) == len(names) > 250
