"""`strangler mismatches …`, as it is typed to a port that has some."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.arguments import Parser
from proxy.mismatch_command import add, listed, run, shown
from proxy.orders import OrderFailed, Orders

OPEN: dict[str, Any] = {
    "id": "0123456789ab",
    "route": "things.show",
    "field": "data[*].name",
    "kind": "value",
    "state": "open",
    "count": 37,
    "first": 1_700_000_000.0,
    "last": 1_700_000_060.0,
    "reopened": None,
    "act": None,
}
BY_ANNA = {"at": 1_700_000_100.0, "who": "Anna", "why": "deployed", "state": "resolved", "until": None}
BY_BEN = {"at": 1_700_000_100.0, "who": "Ben", "why": "known", "state": "muted", "until": 1_700_000_200.0}
TEST = {"name": "test_things_show_0123456789ab.py", "text": "assert False\n"}


class Answering(Orders):
    """A port that answers with one thing, and remembers what it was asked."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._answer = told
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, patience: float | None = None, **query: str
    ) -> dict[str, Any]:
        self.asked.append((method, path, body, query))
        return dict(self._answer)


def typed(told: Mapping[str, Any], *words: str) -> tuple[int, Answering]:
    parser, port = Parser(), Answering(told)
    parser.add_argument("--json", action="store_true")
    add(parser)
    return run(parser.parse_args(words), lambda options: port), port


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], {"count": "20", "state": "open"}),
        (["things.show", "--count", "5"], {"count": "5", "state": "open", "route": "things.show"}),
        (["show", "--all"], {"count": "20", "state": "all", "route": "show"}),
        (["things.show", "--unconfirmed"], {"count": "20", "state": "unconfirmed", "route": "things.show"}),
    ],
)
def test_the_list_asks_for_what_is_open_unless_all_are_wanted(words: list[str], query: dict[str, str]) -> None:
    code, port = typed({"mismatches": []}, *words)
    assert (code, port.asked) == (0, [("GET", "/mismatches", None, query)])


@pytest.mark.parametrize(
    ("words", "method", "path", "order"),
    [
        (["show", "a/b"], "GET", "/mismatches/a%2Fb", None),
        (["resolve", "0123"], "PATCH", "/mismatches/0123", {"state": "resolved", "why": ""}),
        (["mute", "0123", "--why", "known"], "PATCH", "/mismatches/0123", {"state": "muted", "why": "known"}),
        (["mute", "0123", "--for", "2d"], "PATCH", "/mismatches/0123", {"state": "muted", "why": "", "for": "2d"}),
    ],
)
def test_what_is_typed_is_what_is_ordered(words: list[str], method: str, path: str, order: Any) -> None:
    code, port = typed({**OPEN, "samples": []}, *words)
    assert (code, port.asked) == (0, [(method, path, order, {})])


def test_an_exported_test_is_printed_or_written_and_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, port = typed(TEST, "export", "0123")
    assert (capsys.readouterr().out, port.asked[0][1]) == (TEST["text"], "/mismatches/0123/test")
    typed(TEST, "export", "0123", "--json")
    assert json.loads(capsys.readouterr().out) == TEST
    for output, written in ((tmp_path, tmp_path / TEST["name"]), (tmp_path / "other.py", tmp_path / "other.py")):
        typed(TEST, "export", "0123", "--output", str(output))
        assert written.read_text() == TEST["text"]
        assert str(written) in capsys.readouterr().out
        with pytest.raises(OrderFailed, match="is there already"):
            typed({**TEST, "text": "x"}, "export", "0123", "--output", str(output))
        assert written.read_text() == TEST["text"]
    with pytest.raises(OrderFailed, match="nothing was written"):
        typed(TEST, "export", "0123", "--output", str(tmp_path / "no" / "such"))


def test_each_is_one_line_of_the_list() -> None:
    head, line, whole = listed({"mismatches": [OPEN, {**OPEN, "field": "", "kind": "status"}]}).splitlines()
    assert head.split() == ["ID", "ROUTE", "FIELD", "KIND", "REQUESTS", "LAST", "STATE"]
    assert line == "0123456789ab  things.show  data[*].name  value   37        2023-11-14 22:14:20 UTC  open"
    assert "(whole)       status" in whole
    assert "No mismatch is open" in listed({"mismatches": []})
    assert listed({"mismatches": []}, "unconfirmed") == "Nothing is unconfirmed."


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"state": "resolved", "act": BY_ANNA}, "resolved by Anna, 2023-11-14 22:15:00 UTC: deployed"),
        (
            {"act": BY_ANNA, "reopened": 1_700_000_160.0},
            "open again since 2023-11-14 22:16:00 UTC; resolved by Anna, 2023-11-14 22:15:00 UTC: deployed",
        ),
        (
            {"state": "muted", "act": BY_BEN},
            "muted until 2023-11-14 22:16:40 UTC by Ben, 2023-11-14 22:15:00 UTC: known",
        ),
        ({"act": BY_BEN}, "open; muted until 2023-11-14 22:16:40 UTC by Ben, 2023-11-14 22:15:00 UTC: known"),
        ({"state": "unconfirmed"}, "unconfirmed"),
        (
            {"state": "unconfirmed", "act": BY_ANNA, "reopened": 1_700_000_160.0},
            "unconfirmed again since 2023-11-14 22:16:00 UTC; resolved by Anna, 2023-11-14 22:15:00 UTC: deployed",
        ),
    ],
)
def test_what_was_made_of_it_is_said_with_by_whom_and_why(more: dict[str, Any], words: str) -> None:
    assert listed({"mismatches": [{**OPEN, **more}]}).splitlines()[1].endswith(f"UTC  {words}")
    assert words in shown({**OPEN, **more, "samples": []})


def test_a_sample_is_the_request_and_what_is_kept_of_both_answers() -> None:
    def excerpt(side: str, **told: Any) -> dict[str, Any]:
        return {"side": side, "status": 200, "type": "text", "length": None, "digest": None, "shown": None, **told}

    sample = {
        "at": 1_700_000_060.0,
        "method": "GET",
        "target": "/things/1",
        "headers": [["accept", "text/html"], ["accept", "*/*"]],
        "credentials": ["cookie"],
        "others": ["x-tenant"],
        "repeatable": True,
        "requestId": "abc",
        "path": "data[3].name",
        "control": excerpt("legacy", length=6, digest="9f02c1d7aa"),
        "candidate": excerpt("native", shown='"open"'),
    }
    secret = {**sample, "headers": [], "credentials": [], "others": [], "path": ""}
    secret["control"] = excerpt("legacy", type="secret text")
    often = {"candidate": 41, "candidates": 52, "control": 9, "controls": 20, "proof": 1.7}
    doubted = shown({**OPEN, "samples": [{**sample, "often": {**often, "proof": 0.0317}}]})
    assert "; evidence: 0.032 of what proves\n" in doubted
    assert shown({**OPEN, "samples": [{**sample, "often": often}, {**secret, "often": None}]}).splitlines() == [
        "0123456789ab  things.show  data[*].name: value",
        "open; seen in 37 requests, first 2023-11-14 22:13:20 UTC, last 2023-11-14 22:14:20 UTC",
        "differs there from what users are told: native in 41 of 52 answers, legacy in 9 of 20; evidence: proved",
        "2023-11-14 22:14:20 UTC  GET /things/1, request abc",
        "    with accept: text/html, accept: */*",
        "    with cookie, x-tenant, of which no more is kept",
        "    legacy 200, data[3].name: text of 6, #9f02c1d7aa",
        '    native 200, data[3].name: "open"',
        "2023-11-14 22:14:20 UTC  GET /things/1, request abc",
        "    legacy 200, (whole): secret text",
        '    native 200, (whole): "open"',
    ]
    assert "evidence" not in shown({**OPEN, "samples": [sample]})  # as earlier versions kept it
    earlier = {**secret, "headers": {"accept": "text/html"}}
    del earlier["others"]
    assert "\n    with accept: text/html\n" in shown({**OPEN, "samples": [earlier]})


def test_the_help_names_every_verb() -> None:
    parser = Parser("strangler mismatches")
    add(parser)
    for word in ("ROUTE", "show ID", "resolve ID", "mute ID", "export ID", "--for", "--output"):
        assert word in parser.format_help()
    assert isinstance(parser.parse_args([]), Namespace)
