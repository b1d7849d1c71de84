"""`strangler parity …`, as it is typed to a port that knows something."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.arguments import Parser
from proxy.parities import told
from proxy.parity_command import add, run
from shadow.parity import Parity, Stratum, Tally
from tests.proxy.test_mismatch_command import Answering

KNOWN = Parity(1_700_000_000.0, {Stratum(404, "agent"): Tally(31), Stratum(200, ""): Tally(8_084, 3, 2)})


def typed(parity: Parity, *words: str) -> tuple[int, Answering]:
    parser, port = Parser(), Answering({"route": "things/list", "parity": told(parity)})
    parser.add_argument("--json", action="store_true")
    add(parser)
    return run(parser.parse_args(words), lambda options: port), port


def test_it_shows_the_whole_and_each_stratum(capsys: pytest.CaptureFixture[str]) -> None:
    code, port = typed(KNOWN, "things/list")
    assert (code, port.asked) == (0, [("GET", "/flags/things%2Flist/parity", None, {})])
    line, head, *rows = capsys.readouterr().out.splitlines()
    assert line.startswith("things/list: mismatches ≤ 0.23 % (99 %): 3 of 8 120 compared, and 2 unconfirmed that count")
    assert line.endswith("; least sure: 404 for agent, 31 compared, ≤ 23 %. Since 2023-11-14 22:13:20 UTC.")
    assert head.split() == ["ANSWER", "COMPARED", "MISMATCHED", "UNCONFIRMED", "MISMATCHES", "AT", "MOST"]
    assert [row.split("  ")[0] for row in rows] == ["200", "404 for agent"]
    assert rows[1].split()[3:] == ["31", "0", "0", "23", "%"]


def test_of_a_route_that_was_never_compared_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    typed(Parity(), "things/list")
    assert capsys.readouterr().out == "things/list: nothing has been compared.\n"


def test_a_reset_says_why_and_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    code, port = typed(Parity(), "things/list", "--reset", "--why", "release 12")
    assert (code, port.asked) == (0, [("POST", "/flags/things%2Flist/parity", {"why": "release 12"}, {})])
    assert capsys.readouterr().out == "things/list: comparisons are counted anew from now on.\n"


def test_programs_are_told_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    typed(KNOWN, "things/list", "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["parity"]["compared"] == 8_120
