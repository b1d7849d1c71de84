"""What operators read in their terminal."""

from __future__ import annotations

from typing import Any

from proxy import show


def route(name: str = "things.list", **more: Any) -> dict[str, Any]:
    quiet = {"share": 0, "shadow": 0, "generation": 1, "trip": None, "onThisWorkerOnly": False, "verdict": None}
    return {"route": name, **quiet, **more}


def lines(*routes: dict[str, Any], connected: bool = True, ready: bool = True) -> list[str]:
    told = {"storeConnected": connected, "nativeReady": ready, "routes": list(routes)}
    return show.status(told).splitlines()


def test_a_native_that_takes_no_requests_is_named_whatever_the_shares() -> None:
    said = lines(route(share=10_000), ready=False)[-1]
    assert "Native takes no requests" in said
    assert "legacy answers every route" in said


def test_every_route_has_a_line_under_one_head_in_columns_that_stand_below_each_other() -> None:
    head, short, long = lines(route("a"), route("a.much.longer.name", share=500, shadow=25))
    assert head.split() == ["ROUTE", "NATIVE", "SHADOW", "STATE"]
    assert head.index("NATIVE") == short.index("0 %") == long.index("5 %")
    assert "0.25 %" in long


def test_the_state_says_who_answers_and_what_the_evidence_says() -> None:
    verdict = {"kind": "healthy", "words": "native failed 0 of 80"}
    _, legacy, unjudged, judged = lines(route(), route(share=500), route(share=500, verdict=verdict))
    assert "legacy answers" in legacy
    assert "not judged yet" in unjudged
    assert "healthy: native failed 0 of 80" in judged


def test_a_trip_shows_its_reason_its_time_and_how_far_it_reaches() -> None:
    trip = {"at": 1_700_000_000.9, "reason": "native failed 9 of 10"}
    _, everywhere, here = lines(route(trip=trip), route(trip=trip, onThisWorkerOnly=True))
    for line in (everywhere, here):
        assert "tripped" in line
        assert "2023-11-14 22:13:20 UTC" in line
        assert "native failed 9 of 10" in line
    assert "this worker only" in here
    assert "this worker only" not in everywhere


def test_a_lost_store_is_said_below_the_routes() -> None:
    *_, last = lines(route(), connected=False)
    assert "store does not answer" in last
    assert "last flags hold" in last
    assert len(lines(route())) == 2


def mismatch(differences: list[dict[str, Any]], count: int) -> str:
    entry = {
        "id": "17-0",
        "at": 1_700_000_000.0,
        "route": "things.show",
        "method": "GET",
        "target": "/things/1",
        "request_id": "abc",
        "control_side": "legacy",
        "candidate_side": "native",
        "control_status": 200,
        "candidate_status": 500,
        "differences": differences,
        "count": count,
    }
    return show.mismatches({"mismatches": [entry]})


def test_a_mismatch_shows_the_question_both_answers_and_each_difference_as_it_was_journalled() -> None:
    told = mismatch(
        [
            {"path": "", "kind": "status", "control": "200", "candidate": "500"},
            {"path": "data.name", "kind": "value", "control": '"a"', "candidate": '"b"'},
        ],
        count=5,
    )
    for words in ("17-0", "2023-11-14 22:13:20 UTC", "things.show", "GET /things/1", "abc", "legacy 200, native 500"):
        assert words in told
    assert "(whole): status: legacy 200, native 500" in told
    assert 'data.name: value: legacy "a", native "b"' in told
    assert "3 more" in told


def test_nothing_is_said_of_more_differences_where_there_are_none() -> None:
    assert "more" not in mismatch([{"path": "a", "kind": "value", "control": "1", "candidate": "2"}], count=1)


def test_no_mismatch_is_said_in_words() -> None:
    assert show.mismatches({"mismatches": []}) == "No mismatch has been journalled."


def followed(**told: Any) -> list[str]:
    unleash = {"connected": True, "problem": "", "refused": {}, **told}
    routes = [route(share=10_000, byRules=True)]
    return show.status({"storeConnected": True, "nativeReady": True, "unleash": unleash, "routes": routes}).splitlines()


def test_who_is_chosen_by_rules_has_no_percentage() -> None:
    _, line = followed()
    assert "by rules" in line
    assert "100 %" not in line


def test_what_unleash_says_and_is_not_so_here_stands_below_the_routes() -> None:
    *_, refused, away = followed(connected=False, problem="no answer within 1 s", refused={"a.b": "its rollout is odd"})
    assert refused == "a.b: its share is not what Unleash says: its rollout is odd."
    assert away == "Unleash gives no answer that can be used (no answer within 1 s): the last shares hold."
