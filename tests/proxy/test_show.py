"""What operators read in their terminal."""

from __future__ import annotations

from typing import Any

from proxy import show


def route(name: str = "things.list", **more: Any) -> dict[str, Any]:
    quiet = {"share": 0, "shadow": 0, "generation": 1, "trip": None, "onThisWorkerOnly": False, "verdict": None}
    return {"route": name, "inForce": more.get("share", 0), "ramp": None, **quiet, **more}


PROVED = {"carried": 40.0, "due": 40.0, "unproved": False, "words": "…"}
WELL: dict[str, Any] = {
    "storeConnected": True,
    "nativeReady": True,
    "capacity": PROVED,
    "shadowing": {"factor": 1.0, "yielding": [], "givenUp": [], "words": None},
}


def lines(
    *routes: dict[str, Any], connected: bool = True, ready: bool = True, capacity: dict[str, Any] = PROVED
) -> list[str]:
    told = {**WELL, "storeConnected": connected, "nativeReady": ready, "capacity": capacity, "routes": list(routes)}
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


def followed(**told: Any) -> list[str]:
    unleash = {"connected": True, "problem": "", "refused": {}, **told}
    routes = [route(share=10_000, byRules=True)]
    return show.status({**WELL, "unleash": unleash, "routes": routes}).splitlines()


def test_the_share_in_force_is_shown_and_below_it_what_was_asked_for() -> None:
    held = {"share": 10_000, "inForce": 9_800}
    _, line, other, free, told = lines(route("a", **held), route("b", **held), route("c", share=500))
    assert line.split()[:3] == ["a", "98", "%"]
    assert "100 %" not in line + other + free
    assert told == "100 % asked, 98 % in force: 2 % is held back as control: a, b."


def test_a_ramp_that_is_under_way_and_a_way_back_that_is_not_proved_stand_below_the_routes() -> None:
    ramp = {"words": "running, step 1 of 4, 1 %; goes on to 5 % after 9 min more of the hold of 10 min"}
    words = "legacy lately carried 2.0 requests/s, and a rollback of everything would send it 40 requests/s: …"
    capacity = {"unproved": True, "words": words}
    *_, climbing, back = lines(route("a", ramp=ramp), capacity=capacity)
    assert climbing == f"a: its ramp is {ramp['words']}."
    assert back == f"L{words[1:]}. See the runbook before everything has to go back."


def test_what_comparisons_prove_stands_below_the_routes_and_beside_the_one_that_is_asked_about() -> None:
    words = "mismatches ≤ 0.12 % (99 %): 3 of 8 120 compared"
    *_, parity = lines(route("a", parity={"words": words}), route("b", parity=None))
    assert parity == f"a: {words}."
    _, _, parity, _ = show.outlook(route(inForce=0, outlook=None, parity={"words": words})).splitlines()
    assert parity == f"M{words[1:]}."


def asked(**told: Any) -> dict[str, Any]:
    noticed = [
        {"defect": 0.01, "seconds": None, "failed": None},
        {"defect": 0.05, "seconds": 482, "failed": 13},
        {"defect": 0.5, "seconds": 34, "failed": 8},
    ]
    prospects = [{"share": share, "inForce": min(share, 9_800), "noticed": noticed} for share in (500, 10_000)]
    capacity = {"unproved": False, "words": "legacy lately carried 10 requests/s"}
    return {"route": "a", "ramp": None, "rate": 10.0, "prospects": prospects, "capacity": capacity, **told}


def test_before_a_ramp_it_is_shown_how_soon_a_defect_would_be_noticed_at_each_share() -> None:
    first, head, small, whole, back = show.prospects(asked()).splitlines()
    assert "At 10 requests/s" in first
    assert head.split("  ")[0] == "NATIVE"
    assert [column in head for column in ("1 % MORE", "5 % MORE", "50 % MORE")] == [True] * 3
    assert small.startswith("5 %")
    assert whole.startswith("98 %")
    for line in (small, whole):
        assert line.endswith("after 34 s, 8 failed")
        assert "not within 6 h" in line
        assert "after 8 min, 13 failed" in line
    assert back == "Legacy lately carried 10 requests/s."


def test_of_a_route_whose_traffic_is_not_known_nothing_is_foretold() -> None:
    said, _ = show.prospects(asked(rate=None, prospects=[])).splitlines()
    assert said == "Too little is known of this route's traffic to say how soon a defect would be noticed."


def test_a_ramp_is_said_in_words_and_so_is_that_there_was_none() -> None:
    assert show.ramp(asked()) == "a: it never had a ramp."
    assert (
        show.ramp(asked(ramp={"words": "done at step 4 of 4, 100 %"})) == "a: its ramp is done at step 4 of 4, 100 %."
    )


def test_who_is_chosen_by_rules_has_no_percentage() -> None:
    _, line = followed()
    assert "by rules" in line
    assert "100 %" not in line


def test_what_unleash_says_and_is_not_so_here_stands_below_the_routes() -> None:
    *_, refused, away = followed(connected=False, problem="no answer within 1 s", refused={"a.b": "its rollout is odd"})
    assert refused == "a.b: its share is not what Unleash says: its rollout is odd."
    assert away == "Unleash gives no answer that can be used (no answer within 1 s): the last shares hold."


def test_what_is_wrong_with_subjects_stands_below_the_routes() -> None:
    told: dict[str, Any] = {**WELL, "routes": [route()]}
    concern = {"source": "cookie:sid", "kind": "churn", "words": "90 of 100 values came once"}
    assert show.status({**told, "subjects": []}).splitlines() == lines(route())
    *_, last = show.status({**told, "subjects": [concern]}).splitlines()
    assert last == "Subjects by cookie:sid churn: 90 of 100 values came once."


def test_shadow_work_that_is_left_undone_has_a_line_below_the_routes() -> None:
    shadowing = {**WELL["shadowing"], "words": "shadow work yields, down to 25 % of it, because …"}
    *others, last = show.status({**WELL, "routes": [route()], "shadowing": shadowing}).splitlines()
    assert others == lines(route())
    assert last == "Shadow work yields, down to 25 % of it, because …."


def test_a_change_is_a_line_with_its_time_its_maker_and_their_reason() -> None:
    record = {
        "at": 1_700_000_000.9,
        "route": "things.list",
        "words": "native answers 5 % (it was 0 %)",
        "who": "Anna",
        "why": "step 2",
    }
    line = "2023-11-14 22:13:20 UTC  things.list  native answers 5 % (it was 0 %), by Anna"
    assert show.audit({"audit": [record, {**record, "why": ""}]}).splitlines() == [f"{line}: step 2", line]
    assert "nobody who is known" in show.record({**record, "who": ""})
    assert show.audit({"audit": []}) == "No change has been recorded."


def test_one_route_is_shown_with_what_may_be_expected_of_its_judge() -> None:
    told = route(share=500, inForce=500, outlook={"words": ["at 10 requests/s all is well", "judged by evidence"]})
    *_, noticed, errs = show.outlook(told).splitlines()
    assert (noticed, errs) == ("At 10 requests/s all is well.", "Judged by evidence.")


def test_a_route_without_native_traffic_has_nothing_to_be_expected() -> None:
    told = route(inForce=0, outlook=None)
    assert show.outlook(told).endswith("There is no native traffic that could be judged, or none is known yet.")


def test_what_a_webhook_never_took_stands_below_it_with_the_reason() -> None:
    lost = {
        "at": 1.0,
        "route": "things.list",
        "words": "tripped",
        "who": "evidence",
        "why": "failing",
        "problem": "503",
    }
    hook = {"url": "https://hooks.example/…", "delivered": 7, "undelivered": 1, "latest": [lost]}
    head, line = show.webhooks({"webhooks": [hook]}).splitlines()
    assert head == "https://hooks.example/…: told of 7 trips and resets, given up on 1"
    assert line == "    1970-01-01 00:00:01 UTC  things.list  tripped, by evidence: failing (503)"
