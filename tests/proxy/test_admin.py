"""What the operators' port answers, and what an order does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from demo.service import LOOPBACK, free_port
from flags.flag import Flag
from flags.loop import Loop
from flags.rollback import Rule
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.admin import Admin, Tokens
from proxy.compared import Compared
from proxy.load import Loads
from proxy.metrics import Metrics
from proxy.mismatches import Mismatches
from proxy.parities import Parities
from proxy.ramping import Ramping
from proxy.ramps import Ramps
from proxy.shortfall import Shortfall
from proxy.siblings import NoSiblings, Siblings, Silent
from proxy.tasks import Tasks
from proxy.watchdog import Stall
from proxy.webhooks import Webhook
from shadow.compare import Difference, Kind
from shadow.journal import Journal, MemoryJournal, RedisJournal
from shadow.mismatch import Finding, Mismatch
from shadow.tallies import MemoryTallies
from shadow.yielding import Cause, Pace

ROUTES = ["things.list", "things.show"]
SEEDS = {"things.list": Flag(native=500, shadow=1_000), "things.show": Flag()}


class Port:
    """The admin port in this process, with the loop behind it."""

    def __init__(
        self,
        store: Store | None = None,
        journal: Journal | None = None,
        tokens: Path | None = None,
        ready: bool = True,
        siblings: Siblings | None = None,
        webhooks: Sequence[Webhook] = (),
        tallies: MemoryTallies | None = None,
    ) -> None:
        self.store, self.stopping, self.now = store or MemoryStore(), asyncio.Event(), 100.0
        rule, metrics = Rule(30, 50, 0.05, 0.02), Metrics(ROUTES)
        self.metrics = metrics
        self.loop = Loop(self.store, ROUTES, rule, "worker")
        self.siblings = siblings or NoSiblings(metrics)
        rules = {ROUTES[0]: {"ignore": ("data.at",)}}
        mismatches = Mismatches(journal or MemoryJournal(), self.loop, self.store, rules, now=lambda: self.now)
        asked = self.siblings, mismatches, Tokens(tokens), self.stopping, webhooks
        loads = Loads(self.store, "worker", metrics, ROUTES)
        states = (lambda: ready), (lambda: False)
        self.tallies = tallies or MemoryTallies()
        self.parities = Parities(self.tallies, metrics.parity, now=lambda: self.now)
        compared = Compared(self.parities, self.loop, self.store, ROUTES[1:], now=lambda: self.now)
        self.ramps = Ramps(self.store, self.loop, alike=compared.alike)
        ramping = Ramping(self.loop, self.ramps, loads, dict.fromkeys(ROUTES, rule), compared.check)
        self.admin = Admin(self.loop, self.store, SEEDS, *asked, *states, ramping=ramping, compared=compared)
        transport = httpx.ASGITransport(self.admin.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9901")

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        answer = await self.client.request(method, path, **options)
        return answer.status_code, answer.json()

    async def listened(self, **options: Any) -> httpx.Response:
        """What a listener is told until this process stops, which it does as soon as somebody listens."""
        asking = asyncio.gather(self.client.get("/events", **options))
        while not (self.admin.events.readers or asking.done()):  # noqa: ASYNC110  # they come when they are read
            await asyncio.sleep(0)
        self.stopping.set()
        (answer,) = await asking
        self.stopping.clear()
        return answer

    async def words(self, method: str, path: str, body: Any = None) -> list[str]:
        """What became of an order that is carried out."""
        status, told = await self.ask(method, path, json=body)
        assert status == 200, told
        return [change["words"] for change in told["changes"]]


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    port = Port()
    await port.loop.refresh()
    yield port
    await port.client.aclose()


def finding(route: str, number: int, **told: Any) -> Finding:
    differences = (Difference("data.name", Kind.VALUE, "a", "b"),)
    given = ("GET", f"/{number}", [], False, "abc", "legacy", "native", 200, 200, differences)
    return replace(Finding(float(number), route, *given), **told)


async def test_a_share_is_set_in_percent_and_told_in_basis_points(port: Port) -> None:
    (words,) = await port.words("PATCH", "/flags/things.list", {"share": "5.25%"})
    assert "native answers 5.25 %" in words
    assert port.loop.get("things.list").native == 525
    _, told = await port.ask("GET", "/flags")
    assert told["storeConnected"] is True
    assert told["nativeReady"] is False
    listed, shown = told["routes"]
    assert (listed["route"], listed["share"], listed["shadow"], listed["trip"]) == ("things.list", 525, 0, None)
    assert listed["generation"] > shown["generation"] == 0


async def test_what_shadow_work_is_left_undone_is_told_beside_the_routes(port: Port) -> None:
    _, told = await port.ask("GET", "/flags")
    assert told["shadowing"] == {"factor": 1.0, "yielding": [], "givenUp": [], "words": None}
    port.metrics.paced(Pace(0.25, frozenset({Cause.IN_VAIN})))
    port.metrics.undone.dropped("things.list", "queue_full")
    _, told = await port.ask("GET", "/flags")
    assert told["shadowing"]["factor"] == 0.25
    assert told["shadowing"]["yielding"] == [{"cause": "in_vain", "workers": 1}]
    assert told["shadowing"]["givenUp"] == [{"route": "things.list", "reason": "queue_full", "times": 1}]
    assert "down to 25 % of it" in told["shadowing"]["words"]


async def test_both_knobs_turned_at_once_are_one_change(port: Port) -> None:
    (words,) = await port.words("PATCH", "/flags/things.list", {"share": "5%", "shadow": "100%"})
    assert "native answers 5 % (it was 0 %), 100 % is shadowed (it was 0 %), on every worker" in words
    assert len(await port.store.audit(5)) == 1


async def test_a_refused_knob_leaves_the_other_as_it_was(port: Port) -> None:
    await port.words("POST", "/flags/things.list/rollback")
    status, _ = await port.ask("PATCH", "/flags/things.list", json={"share": "5%", "shadow": "100%"})
    assert status == 409
    assert port.loop.get("things.list").shadow == 0


async def test_an_order_for_a_flag_that_is_another_by_now_is_told_that_one(port: Port) -> None:
    _, told = await port.ask("PATCH", "/flags/things.list", json={"share": "5%", "generation": 0})
    (change,) = told["changes"]
    assert change["generation"] == port.loop.get("things.list").generation
    await port.words("PATCH", "/flags/things.list", {"share": "7%", "generation": change["generation"]})
    for method, path, order in (
        ("PATCH", "/flags/things.list", {"share": "9%"}),
        ("POST", "/flags/things.list/reset", {}),
    ):
        status, told = await port.ask(method, path, json={**order, "generation": change["generation"]})
        assert status == 409
        assert "somebody else changed it first" in told["error"]
        assert (told["flag"]["route"], told["flag"]["share"]) == ("things.list", 700)
        assert told["flag"]["generation"] == port.loop.get("things.list").generation


async def test_of_two_operators_at_once_one_hears_that_the_other_was_first(port: Port) -> None:
    orders = ({"share": f"{percent}%", "generation": 0} for percent in (5, 7))
    answers = await asyncio.gather(*(port.ask("PATCH", "/flags/things.list", json=order) for order in orders))
    assert sorted(status for status, _ in answers) == [200, 409]
    assert len(await port.store.audit(5)) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "say what to change"),
        ({"share": None}, "say what to change"),
        ({"percent": "5%"}, "percent: nobody knows"),
        ({"share": "5%", "genration": 5}, "genration: nobody knows"),
        ({"share": "5%", "generation": "5"}, "generation: the whole number"),
        ({"share": "5%", "generation": True}, "generation: the whole number"),
        ({"share": "5%", "generation": -1}, "generation: the whole number"),
        ({"share": "5%", "generation": 10**15}, "generation: the whole number"),
        ({"generation": 0, "why": "x"}, "say what to change"),
        ({"share": "5"}, 'share: "5" has no unit'),
        ({"share": 5}, "share: "),
        ({"share": True}, "share: "),
        ({"share": "101%"}, "outside 0–100 %"),
        ({"shadow": "0.001%"}, "shadow: "),
        ([], "must be a JSON object"),
        ("5%", "must be a JSON object"),
    ],
)
async def test_a_wrong_order_is_refused_in_words_and_changes_nothing(body: Any, words: str, port: Port) -> None:
    status, told = await port.ask("PATCH", "/flags/things.list", json=body)
    assert status == 400
    assert words in told["error"]
    assert port.loop.get("things.list") == Flag()


async def test_a_body_that_is_no_json_is_refused(port: Port) -> None:
    for path in ("/flags/things.list", "/flags/things.list/rollback", "/rollback"):
        method = "PATCH" if path.endswith("list") else "POST"
        status, told = await port.ask(method, path, content=b"{share")
        assert (status, told["error"]) == (400, "the body must be a JSON object")
        for body in (b"[" * 100_000, b'{"why": ' * 100_000, b'{"why": "\\ud800"}', b'{"why": ' + b"9" * 5_000 + b"}"):
            status, told = await port.ask(method, path, content=body)
            assert (status, told["error"]) == (400, "the body must be a JSON object")
    assert not any(flag.tripped for flag in port.loop.snapshot.values())


async def test_an_unknown_route_is_404_whatever_is_asked_of_it(port: Port) -> None:
    for method, path in (
        ("PATCH", "/flags/no.such"),
        ("PATCH", "/flags/a%2Fb"),
        ("POST", "/flags/no.such/reset"),
        ("POST", "/flags/no.such/rollback"),
        ("GET", "/mismatches?route=no.such"),
        ("GET", "/audit?route=no.such"),
    ):
        status, told = await port.ask(method, path, json={"share": "5%"} if method == "PATCH" else {})
        assert status == 404, path
        assert "no such route" in told["error"]


async def test_paths_and_methods_that_do_not_exist_are_answered_in_json(port: Port) -> None:
    assert (await port.ask("GET", "/nowhere"))[0] == 404
    status, told = await port.ask("DELETE", "/flags/things.list")
    assert status == 405
    assert told["error"]


async def test_a_rollback_holds_against_orders_until_the_reset(port: Port) -> None:
    await port.words("PATCH", "/flags/things.list", {"share": "50%"})
    (words,) = await port.words("POST", "/flags/things.list/rollback", {"why": "strange orders"})
    assert "strange orders" in words
    status, told = await port.ask("PATCH", "/flags/things.list", json={"share": "5%"})
    assert status == 409
    assert "tripped" in told["error"]
    _, told = await port.ask("GET", "/flags")
    assert "strange orders" in told["routes"][0]["trip"]["reason"]
    assert "reset" in (await port.words("POST", "/flags/things.list/reset"))[0]
    assert port.loop.get("things.list").native == 0
    assert await port.words("PATCH", "/flags/things.list", {"share": "5%"})


async def test_a_reason_is_one_line_that_steers_no_terminal(port: Port) -> None:
    (words,) = await port.words("POST", "/flags/things.list/rollback", {"why": "a\x1b[2J\nforged: b"})
    assert words.isprintable()
    assert "a [2J forged: b" in words


@pytest.mark.parametrize("body", [None, {}, {"why": ""}, {"why": 5}, {"why": "\x1b\n"}])
async def test_a_rollback_needs_no_reason(body: Any, port: Port) -> None:
    words = await port.words("POST", "/rollback", body)
    assert len(words) == len(ROUTES)
    assert all("no reason given" in each for each in words)


async def test_seeding_writes_what_is_missing_and_nothing_else(port: Port) -> None:
    await port.words("PATCH", "/flags/things.show", {"share": "7%"})
    assert await port.ask("POST", "/seed") == (200, {"seeded": ["things.list"]})
    assert port.loop.get("things.list").native == 500
    assert port.loop.get("things.show").native == 700
    assert await port.ask("POST", "/seed") == (200, {"seeded": []})


async def test_every_change_is_told_with_who_made_it_and_why(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a operator Anna\nb operator Ben\n")
    port = Port(tokens=tokens)
    await port.loop.refresh()
    anna, ben = ({"Authorization": f"Bearer {token}"} for token in "ab")
    async with port.client:
        for headers, method, path, body in (
            (anna, "POST", "/seed", {}),
            (anna, "PATCH", "/flags/things.list", {"share": "25%", "why": "step 2"}),
            (ben, "POST", "/flags/things.list/rollback", {"why": "strange orders"}),
            (ben, "POST", "/flags/things.list/reset", {"why": "w" * 5_000}),
            (ben, "POST", "/rollback", {"why": 5}),
        ):
            assert (await port.ask(method, path, json=body, headers=headers))[0] == 200
        _, told = await port.ask("GET", "/audit?route=things.list", headers=ben)
        assert [(each["who"], each["what"], each["why"]) for each in reversed(told["audit"])] == [
            ("Anna", "changed", "seeded from the configuration"),
            ("Anna", "changed", "step 2"),
            ("Ben", "tripped", "by hand: strange orders"),
            ("Ben", "reset", "w" * 1_000),
            ("Ben", "tripped", "by hand: no reason given"),
        ]
        step = told["audit"][3]
        assert (step["before"]["share"], step["after"]["share"], step["route"]) == (500, 2_500, "things.list")
        assert step["words"] == "native answers 25 % (it was 5 %)"
        assert told["audit"][2]["after"]["trip"]["who"] == "Ben"
        _, told = await port.ask("GET", "/audit?count=2", headers=ben)
        assert [each["route"] for each in told["audit"]] == ["things.show", "things.list"]


@pytest.mark.parametrize("count", ["-1", "0", "many", "", "²", "9" * 5_000])
async def test_a_count_that_is_none_is_refused(count: str, port: Port) -> None:
    for path in ("/mismatches", "/audit"):
        status, told = await port.ask("GET", path, params={"count": count})
        assert status == 400
        assert "count" in told["error"]


async def test_without_redis_orders_say_that_they_may_not_have_arrived_and_rollbacks_hold_here() -> None:
    url = f"redis://{LOOPBACK}:{free_port()}/1"
    client, store = Redis.from_url(url), RedisStore(url)
    port = Port(store, RedisJournal(client))
    for method, path in (("PATCH", "/flags/things.list"), ("POST", "/seed"), ("POST", "/flags/things.list/reset")):
        status, told = await port.ask(method, path, json={"share": "5%"} if method == "PATCH" else {})
        assert status == 503
        assert "may or may not have arrived" in told["error"]
    status, told = await port.ask("GET", "/mismatches")
    assert status == 503
    assert "journal does not answer" in told["error"]
    for path in ("/audit", "/events"):
        status, told = await port.ask("GET", path)
        assert status == 503
        assert "what was changed cannot be told" in told["error"]
    assert "this worker only" in (await port.words("POST", "/flags/things.list/rollback"))[0]
    _, told = await port.ask("GET", "/flags")
    assert (told["storeConnected"], told["routes"][0]["onThisWorkerOnly"]) == (False, True)
    await store.close()
    await client.aclose()


@pytest.mark.parametrize("host", ["localhost", "LocalHost:9901", "127.0.0.1", "127.0.0.1:1", "127.0.0.2", "[::1]:9901"])
async def test_without_tokens_this_machine_is_answered(host: str, port: Port) -> None:
    assert (await port.ask("GET", "/flags", headers={"Host": host}))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("localhost@evil.example", "localhost#.evil.example", "localhost/.evil.example", "localhost?.evil.example"),
        *("localhost.evil.example", "evil.example", "[::1", "::1", "[::1].evil.example", "[::1%25evil]", "[::2]"),
        *("127.0.0.1.evil.example", "127.0.0.1:9901@evil.example", "127.1", "0.0.0.0", "192.0.2.1", "localhost:", ""),
        *("localhost:x", "localhost:999999", "localhost, evil.example", "localhost\\evil.example"),
    ],
)
async def test_without_tokens_any_other_name_is_refused(host: str, port: Port) -> None:
    status, told = await port.ask("POST", "/rollback", headers={"Host": host})
    assert status == 403
    assert "loopback" in told["error"]
    assert not any(flag.tripped for flag in port.loop.snapshot.values())


async def test_two_names_at_once_are_refused(port: Port) -> None:
    headers = [("Host", "localhost"), ("Host", "evil.example")]
    assert (await port.ask("GET", "/flags", headers=headers))[0] == 403


async def test_a_viewer_may_look_and_move_nothing(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("eyes viewer Grafana\nhands operator Anna\n")
    port = Port(tokens=tokens)
    await port.loop.refresh()
    orders = [
        ("PATCH", "/flags/things.list"),
        ("POST", "/flags/things.list/reset"),
        ("POST", "/flags/things.list/rollback"),
        ("POST", "/rollback"),
        ("POST", "/seed"),
    ]
    async with port.client:
        for path in ("/flags", "/mismatches", "/audit", "/webhooks", "/openapi.json"):
            assert (await port.ask("GET", path, headers={"Authorization": "Bearer eyes"}))[0] == 200, path
        answer = await port.listened(headers={"Authorization": "Bearer eyes"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        for method, path in orders:
            body = {"share": "5%"}
            status, told = await port.ask(method, path, json=body, headers={"Authorization": "Bearer eyes"})
            assert (status, told["error"]) == (403, "nothing changed: Grafana is a viewer; this takes an operator")
        assert port.loop.snapshot == dict.fromkeys(ROUTES, Flag())
        for method, path in orders:
            body = {"share": "0%"} if method == "PATCH" else {}
            status, _ = await port.ask(method, path, json=body, headers={"Authorization": "Bearer hands"})
            assert status == 200


async def test_a_token_is_taken_under_its_own_scheme_alone(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("token\nBearer\n")
    port = Port(tokens=tokens)
    await port.loop.refresh()
    for given in ("Bearer token", "bearer token", "BEARER  token"):
        assert (await port.ask("GET", "/flags", headers={"Authorization": given}))[0] == 200, given
    wrong = ("token", "Basic token", "Bearer", "Bearer ", "Bearertoken", "Bearer Bearer token", "token token", " token")
    for given in wrong:
        assert (await port.ask("GET", "/flags", headers={"Authorization": given}))[0] == 401, given
    twice = [("Authorization", "Bearer token"), ("Authorization", "Bearer wrong")]
    assert (await port.ask("GET", "/flags", headers=twice))[0] == 401


class BrokenJournal(MemoryJournal):
    async def latest(self, *asked: object) -> list[Mismatch]:
        raise KeyError("a fault of ours")


async def test_a_fault_of_ours_is_told_in_json_and_logged() -> None:
    port = Port(journal=BrokenJournal())
    with capture_logs() as logged:
        status, told = await port.ask("GET", "/mismatches")
    assert status == 500
    assert "inside the proxy" in told["error"]
    assert "a fault of ours" not in told["error"]
    (record,) = logged
    assert (record["log_level"], record["path"], record["exc_info"]) == ("error", "/mismatches", True)


async def test_health_readiness_and_metrics_are_told_to_everybody(tmp_path: Path) -> None:
    foreign = {"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}
    tokens = tmp_path / "tokens"
    tokens.write_text("token")
    for port in (Port(), Port(tokens=tokens)):
        assert await port.ask("GET", "/healthz", headers=foreign) == (200, {"status": "ok"})
        assert await port.ask("GET", "/readyz", headers=foreign) == (200, {"status": "ready"})
        exposition = await port.client.get("/metrics", headers=foreign)
        assert exposition.headers["content-type"].startswith("text/plain; version=")
        assert 'strangler_requests_total{outcome="ok",route="things.list",side="native"} 0.0' in exposition.text
        assert "_created" not in exposition.text
    assert await Port(ready=False).ask("GET", "/readyz") == (503, {"status": "stopping"})
    assert await Port(ready=False).ask("GET", "/healthz") == (200, {"status": "ok"})


class Others:
    """The other workers of a proxy: `reached` says whether they take over a trip."""

    def __init__(self, *, reached: bool) -> None:
        self._reached, self.spreads = reached, 0

    async def join(self, tasks: Tasks, gone: Callable[[], None]) -> None:
        return

    def ready(self, drain: float, watchdog: float) -> None:
        return

    def beat(self) -> None:
        return

    def stalled(self, stall: Stall) -> None:
        return

    async def leave(self) -> None:
        return

    async def exposition(self) -> bytes:
        raise Silent("the supervisor did not answer within 2 s")

    async def spread(self) -> bool:
        self.spreads += 1
        return self._reached

    def shortfalls(self) -> list[Shortfall]:
        return [Shortfall(1.0, frozenset(), {})]


@pytest.mark.parametrize(("reached", "reach"), [(True, "proxy"), (False, "worker")])
@pytest.mark.parametrize("path", ["/rollback", "/flags/things.list/rollback"])
async def test_a_rollback_that_the_store_cannot_carry_is_told_to_the_other_workers(
    reached: bool, reach: str, path: str
) -> None:
    store, others = RedisStore(f"redis://{LOOPBACK}:{free_port()}/0"), Others(reached=reached)
    port = Port(store, siblings=others)
    status, told = await port.ask("POST", path)
    assert (status, {change["reach"] for change in told["changes"]}) == (200, {reach})
    assert all(("every worker of this proxy" in change["words"]) is reached for change in told["changes"])
    assert others.spreads == 1
    await store.close()
    await port.client.aclose()


async def test_a_rollback_that_the_store_carries_needs_no_other_way() -> None:
    others = Others(reached=True)
    port = Port(siblings=others)
    assert "on every worker" in (await port.words("POST", "/flags/things.list/rollback"))[0]
    assert others.spreads == 0
    await port.client.aclose()


async def test_a_sum_that_lacks_the_other_workers_is_not_shown() -> None:
    port = Port(siblings=Others(reached=True))
    status, told = await port.ask("GET", "/metrics")
    assert status == 503
    assert "the sum would fall" in told["error"]
    await port.client.aclose()
