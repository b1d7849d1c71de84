"""Every case twice, straight to the origin and through the proxy: only the named differences may show."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.fidelity.cases import Case, ask
from tests.fidelity.conftest import Way
from tests.fidelity.origin import OK, running_origin
from tests.fidelity.rules import FORWARDING, Rule, comparable, through
from tests.fidelity.run import played
from tests.fidelity.table import CASES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "http.md").read_text()
EXPLAINED, LISTED = (
    dict(re.findall(r"^\| (.+?) \|(.*)\|$", section, re.MULTILINE))
    for section in (PAGE.partition("## Connections")[0], PAGE.partition("## Every case")[2])
)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_only_named_differences_show(case: Case, way: Way) -> None:
    async with running_origin() as origin:
        direct = await played(case, origin.port, origin)
    expected, rules = through(direct, case, way.origins[0].port)
    seen = await played(case, way.port, *way.origins)
    got, want = comparable(seen), comparable(expected)
    assert {rule.value for rule in rules} == {word.strip() for word in LISTED[case.name].split(",") if word.strip()}
    if Rule.ERROR not in rules:
        assert got == want
        return
    assert set(got.asked) == set(want.asked)  # a safe request may have been asked again, on another connection
    error = json.loads(seen.answered[-1].body)
    assert (seen.answered[-1].status, error["error"].partition("_")[2]) == (502, "broken")
    assert seen.answered[-1].values(b"x-request-id") == [error["requestId"].encode()]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_forwarding_headers_are_those_that_are_named_and_no_others(way: Way) -> None:
    plain = Case("", (ask("GET /plain"),), (OK,))
    seen = await played(plain, way.port, *way.origins)
    added = [name for name, _ in seen.asked[0].headers if name != b"host"]
    assert sorted(added) == sorted(FORWARDING - {b"tracestate"})  # the state of a trace that nobody began


def test_every_case_and_every_difference_is_in_the_documentation() -> None:
    assert list(LISTED)[1:] == [case.name for case in CASES]
    assert list(EXPLAINED)[1:] == [rule.value for rule in Rule]


def test_there_are_no_two_cases_of_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 100
