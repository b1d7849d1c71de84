"""What the operators' port tells of mismatches, and what an order makes of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from demo.service import LOOPBACK, free_port
from proxy.asked import MOST
from shadow.compare import Difference, Kind
from shadow.journal import Journal, MemoryJournal, RedisJournal
from shadow.mismatch import Act, identity
from tests.proxy.test_admin import Port, finding

LIST, SHOW = "things.list", "things.show"
DAY = 24 * 3600
NAMED = identity(LIST, "data.name", "value")
PATH = f"/mismatches/{NAMED}"


@pytest.fixture
def journal() -> Journal:
    return MemoryJournal()


@pytest.fixture
async def port(journal: Journal, tmp_path: Path) -> AsyncIterator[Port]:
    """Of which Anna is the operator, and Ben may look."""
    tokens = tmp_path / "tokens"
    tokens.write_text("a operator Anna\nb viewer Ben\n")
    port = Port(journal=journal, tokens=tokens)
    await port.loop.refresh()
    port.client.headers["Authorization"] = "Bearer a"
    yield port
    await port.client.aclose()


async def listed(port: Port, query: str = "") -> list[tuple[str, str]]:
    status, told = await port.ask("GET", f"/mismatches{query}")
    assert status == 200, told
    return [(each["route"], each["kind"]) for each in told["mismatches"]]


async def test_the_open_ones_are_listed_the_one_seen_last_first(port: Port, journal: Journal) -> None:
    status = (Difference("", Kind.STATUS, 200, 500),)
    for number, (route, differences) in enumerate([(LIST, None), (SHOW, None), (LIST, status)], 1):
        await journal.record(finding(route, number, **({"differences": differences} if differences else {})))
    assert await listed(port) == [(LIST, "status"), (SHOW, "value"), (LIST, "value")]
    assert await listed(port, f"?route={LIST}&count={10 * MOST}") == [(LIST, "status"), (LIST, "value")]
    assert await listed(port, "?count=1") == [(LIST, "status")]


async def test_what_could_not_be_confirmed_is_listed_apart_and_can_be_shown_and_resolved(
    port: Port, journal: Journal
) -> None:
    await journal.record(replace(finding(LIST, 1), confirmed=False))
    await journal.record(finding(SHOW, 2))
    assert await listed(port) == [(SHOW, "value")]
    assert await listed(port, "?state=unconfirmed") == [(LIST, "value")]
    assert await listed(port, "?state=all") == [(SHOW, "value"), (LIST, "value")]
    path = f"/mismatches/{identity(LIST, 'data.name', 'value', confirmed=False)}"
    status, told = await port.ask("GET", path)
    assert (status, told["state"], told["samples"][0]["target"]) == (200, "unconfirmed", "/1")
    await port.ask("PATCH", path, json={"state": "resolved"})
    assert await listed(port, "?state=unconfirmed") == []
    await journal.record(replace(finding(LIST, 3), confirmed=False))
    assert await listed(port, "?state=unconfirmed") == [(LIST, "value")]


async def test_one_is_shown_with_its_requests_and_what_may_be_known_of_both_answers(
    port: Port, journal: Journal
) -> None:
    given = [("Accept", "text/html"), ("Accept", "*/*"), ("Cookie", "sid=hunter2"), ("X-Tenant", "7")]
    for number in (1, 2):
        await journal.record(finding(LIST, number, headers=given))
    status, told = await port.ask("GET", PATH)
    assert status == 200
    newest, oldest = told.pop("samples")
    entry = {"id": NAMED, "route": LIST, "field": "data.name", "kind": "value", "state": "open", "count": 2}
    assert told == {**entry, "first": 1.0, "last": 2.0, "reopened": None, "act": None}
    assert (newest["target"], oldest["target"]) == ("/2", "/1")
    assert (newest["headers"], newest["credentials"], newest["others"], newest["repeatable"]) == (
        [["accept", "text/html"], ["accept", "*/*"]],
        ["cookie"],
        ["x-tenant"],
        True,
    )
    for role, side in (("control", "legacy"), ("candidate", "native")):
        excerpt = newest[role]
        assert (excerpt["side"], excerpt["status"], excerpt["type"], excerpt["length"]) == (side, 200, "text", 1)
        assert (len(excerpt["digest"]), excerpt["shown"]) == (10, None)


async def test_a_resolved_one_is_out_of_the_list_until_it_is_seen_again_and_says_so_then(
    port: Port, journal: Journal
) -> None:
    await journal.record(finding(LIST, 1))
    status, told = await port.ask("PATCH", PATH, json={"state": "resolved", "why": "deployed"})
    act = {"at": 100.0, "who": "Anna", "why": "deployed", "state": "resolved", "until": None}
    assert (status, told["state"], told["act"]) == (200, "resolved", act)
    assert await listed(port) == await listed(port, "?state=muted") == []
    assert await listed(port, "?state=resolved") == await listed(port, "?state=all") == [(LIST, "value")]
    await journal.record(finding(LIST, 101))
    (told,) = (await port.ask("GET", "/mismatches"))[1]["mismatches"]
    assert (told["state"], told["reopened"], told["act"]) == ("open", 101.0, act)


@pytest.mark.parametrize(("order", "days"), [({}, 7), ({"for": "1d"}, 1), ({"for": "30d"}, 30), ({"for": "12h"}, 0.5)])
async def test_a_muted_one_is_out_of_the_list_for_its_time(
    order: dict[str, str], days: float, port: Port, journal: Journal
) -> None:
    await journal.record(finding(LIST, 1))
    status, told = await port.ask("PATCH", PATH, json={"state": "muted", **order})
    assert (status, told["state"], told["act"]["until"]) == (200, "muted", 100.0 + days * DAY)
    await journal.record(finding(LIST, 101))
    assert (await listed(port), await listed(port, "?state=muted")) == ([], [(LIST, "value")])
    port.now = 100.0 + days * DAY
    assert (await listed(port), await listed(port, "?state=muted")) == ([(LIST, "value")], [])


async def test_what_was_made_of_it_stands_in_the_audit(port: Port, journal: Journal) -> None:
    await journal.record(finding(LIST, 1))
    await port.ask("PATCH", "/flags/things.list", json={"share": "5%"})
    for order in ({"state": "muted", "for": "2d", "why": "known"}, {"state": "resolved"}):
        await port.ask("PATCH", PATH, json=order)
    _, told = await port.ask("GET", f"/audit?route={LIST}")
    resolved, muted, _ = told["audit"]
    assert (muted["what"], muted["who"], muted["why"], muted["at"]) == ("changed", "Anna", "known", 100.0)
    assert muted["words"] == f"mismatch {NAMED} (data.name: value) is muted for 48 h"
    assert resolved["words"] == f"mismatch {NAMED} (data.name: value) is resolved"
    assert muted["before"] == muted["after"]
    assert muted["after"]["share"] == port.loop.get(LIST).native == 500


async def test_who_may_only_look_changes_nothing(port: Port, journal: Journal) -> None:
    await journal.record(finding(LIST, 1))
    viewer = {"Authorization": "Bearer b"}
    status, told = await port.ask("PATCH", PATH, json={"state": "resolved"}, headers=viewer)
    assert (status, "nothing changed: Ben" in told["error"]) == (403, True)
    for path in ("/mismatches", PATH, f"{PATH}/test"):
        assert (await port.ask("GET", path, headers=viewer))[0] == 200
        assert (await port.ask("GET", path, headers={"Authorization": ""}))[0] == 401
    assert await listed(port) == [(LIST, "value")]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({}, "state: one of resolved, muted"),
        ({"state": "open"}, "state: one of"),
        ({"state": None}, "state: one of"),
        ({"state": "muted", "for": "31d"}, "no longer than 30 days"),
        ({"state": "muted", "for": "0d"}, "longer than 0"),
        ({"state": "muted", "for": "5x"}, "use s, m, h or d"),
        ({"state": "muted", "for": 7}, "has no unit"),
        ({"state": "muted", "for": None}, "not a number with a unit"),
        ({"state": "resolved", "for": "7d"}, "until it is seen again"),
        ({"state": "resolved", "until": 5}, "until: nobody knows"),
        ([], "must be a JSON object"),
    ],
)
async def test_a_wrong_order_is_refused_in_words_and_changes_nothing(
    order: Any, words: str, port: Port, journal: Journal
) -> None:
    await journal.record(finding(LIST, 1))
    status, told = await port.ask("PATCH", PATH, json=order)
    assert (status, words in told["error"]) == (400, True), told
    assert await listed(port) == [(LIST, "value")]
    assert (await port.ask("GET", "/audit"))[1] == {"audit": []}


async def test_what_is_not_kept_is_404_and_a_state_that_is_none_400(port: Port) -> None:
    for method, path in (("GET", PATH), ("GET", f"{PATH}/test"), ("PATCH", PATH), ("GET", "/mismatches/a%2Fb")):
        status, told = await port.ask(method, path, json={"state": "resolved"} if method == "PATCH" else None)
        assert status == 404, path
    status, told = await port.ask("GET", "/mismatches?state=new")
    assert (status, "state: one of open, unconfirmed, muted, resolved, all" in told["error"]) == (400, True)
    assert (await port.ask("GET", "/audit"))[1] == {"audit": []}


async def test_a_test_is_exported_with_the_rules_of_the_route(port: Port, journal: Journal) -> None:
    for route in (LIST, SHOW):
        await journal.record(finding(route, 1))
    status, told = await port.ask("GET", f"{PATH}/test")
    assert (status, told["name"]) == (200, f"test_things_list_{NAMED}.py")
    assert "'/1'" in told["text"]
    assert "data.at" in told["text"]
    status, told = await port.ask("GET", f"/mismatches/{identity(SHOW, 'data.name', 'value')}/test")
    assert (status, "data.at" in told["text"]) == (200, False)


async def test_what_cannot_be_asked_again_is_not_exported(port: Port, journal: Journal) -> None:
    await journal.record(finding(LIST, 1, target="/1?token=hunter2"))
    status, told = await port.ask("GET", f"{PATH}/test")
    assert (status, "can be asked again" in told["error"]) == (409, True)


class Interrupted(MemoryJournal):
    """A journal that is lost between the question and the order."""

    async def turn(self, id: str, act: Act) -> bool:
        raise ConnectionResetError("gone")


@pytest.mark.parametrize("journal", [Interrupted()])
async def test_an_order_that_may_not_have_arrived_says_so_and_is_in_the_audit(port: Port, journal: Journal) -> None:
    await journal.record(finding(LIST, 1))
    status, told = await port.ask("PATCH", PATH, json={"state": "resolved"})
    assert (status, "it may or may not be resolved" in told["error"]) == (503, True)
    assert [each["who"] for each in (await port.ask("GET", "/audit"))[1]["audit"]] == ["Anna"]


@pytest.mark.parametrize("journal", [RedisJournal(Redis.from_url(f"redis://{LOOPBACK}:{free_port()}/1"))])
async def test_without_redis_it_is_said_and_nothing_is_recorded(port: Port) -> None:
    for method, path in (("GET", "/mismatches"), ("GET", PATH), ("GET", f"{PATH}/test"), ("PATCH", PATH)):
        status, told = await port.ask(method, path, json={"state": "resolved"} if method == "PATCH" else None)
        assert (status, "journal does not answer" in told["error"]) == (503, True), path
    assert (await port.ask("GET", "/audit"))[1] == {"audit": []}
