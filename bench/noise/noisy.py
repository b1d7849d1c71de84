"""Mutants in noisy fields: what a port does wrong just where answers differ anyway."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bench.noise.kinds import HOSTS, KINDS, Kind, counted, iso, meta, token
from bench.noise.mutants import LIST, MESSAGES, SHOW
from bench.noise.world import ANYWAY, QUIET, Answer, World
from shadow.rules import Alias, Rule, Rules, Timestamp, Tolerance, Unordered

BUSY: Final = 0.3  # writes before a question: a conversation in which people write to each other
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Noisy:
    """`noise`: of the very field that native is wrong in, on either side; nothing: only writes move it. `slip`: what
    native makes of it, `often`: in this part of the requests or, `at_random`, of its answers."""

    route: str
    noise: Kind
    slip: Kind
    often: float = 1.0
    at_random: bool = False
    writes: float = QUIET
    rules: Rules = ANYWAY


def _nothing(told: Answer, world: World) -> None:
    """Only what people write makes it differ."""


def _given(name: str, value: Callable[[World], Any]) -> Kind:
    """One more field beside the data."""
    return lambda told, world: meta(told).__setitem__(name, value(world))


def _turned(name: str, change: Callable[[Any], Any]) -> Kind:
    def slip(told: Answer, world: World) -> None:
        meta(told)[name] = change(meta(told)[name])

    return slip


def _rows(change: Callable[[dict[str, Any]], Any]) -> Kind:
    """What is changed in every object that the answer is about."""

    def slip(told: Answer, world: World) -> None:
        data = told.body["data"]
        for row in data if isinstance(data, list) else [data]:
            change(row)

    return slip


def _field(name: str, change: Callable[[Any], Any]) -> Kind:
    return _rows(lambda row: row.__setitem__(name, change(row[name])))


def _page(change: Callable[[list[Any]], list[Any]]) -> Kind:
    return lambda told, world: told.body.__setitem__("data", change(told.body["data"]))


def _of_one_rank(count: int) -> Kind:
    """The last activity of so many conversations is the same: the database gives them in any order."""

    def kind(told: Answer, world: World) -> None:
        rows = told.body["data"]
        rows[1 : count + 1] = world.chance.sample(rows[1 : count + 1], count)

    return kind


def _seen_by(told: Answer, world: World) -> None:
    """An id of the answer's own, by which its parts refer to each other."""
    view = token(world)
    meta(told)["view"] = view
    for row in told.body["data"]:
        row["view"] = view


def _loading(told: Answer, world: World) -> None:
    told.body["data"]["presence"] = None if world.chance.random() < 0.15 else {"online": True}


def _cut(row: dict[str, Any]) -> None:
    row["lastMessage"] = {**row["lastMessage"], "content": row["lastMessage"]["content"][:3]}


def _later(moment: str) -> str:
    """As if local time were UTC."""
    told = datetime.fromisoformat(moment.removesuffix("Z")) + HOUR
    return told.isoformat(timespec="milliseconds" if "." in moment else "seconds") + moment[len(moment.rstrip("Z")) :]


def _max_age(told: Answer, world: World) -> None:
    told.headers["cache-control"] = "max-age=3600, private"


def _lagging(told: Answer, world: World) -> None:
    told.body["data"] = copy.deepcopy(world.before["data"])


def _unavailable(told: Answer, world: World) -> None:
    told.status, told.body = 503, {"error": "unavailable"}


def _few(told: Answer, world: World) -> None:
    meta(told)["banner"] = "sale" if world.chance.random() < 0.02 else "none"


def _ruled(*rules: tuple[str, Rule]) -> Rules:
    return Rules.parse(rules=rules)


SERVED = _given("servedBy", lambda world: world.chance.choice(HOSTS))
CLOCK = _given("servedAt", lambda world: iso(world.now, "seconds").removesuffix("+00:00"))
PRECISE = _given("servedAt", lambda world: iso(world.now, "milliseconds").removesuffix("+00:00") + "Z")
LABELS = _given("labels", lambda world: world.chance.sample(["vip", "billing", "bug", "spam"], 4))
ESTIMATE = _given("estimate", lambda world: round(world.chance.gauss(2_000, 5), -1))
BANNER = _given("banner", lambda world: world.chance.choice(["sale", "none"]))
SEALED = _given("sealed", lambda world: f"MTc2ODI5ODQwMA.{token(world)}")
SEEN = _given("seen", lambda world: counted("seen", world, 1))
QUOTA = _given("quota", lambda world: counted("quota", world, -1))
TOOK = _given("took", lambda world: round(world.chance.lognormvariate(2, 0.5)))
SCORE = _given("score", lambda world: 0.437 + world.chance.gauss(0, 1e-9))

ALWAYS: Final[dict[str, Noisy]] = {  # wrong in each answer
    "two of one rank, oldest first": Noisy(LIST, _of_one_rank(2), _page(lambda rows: rows[::-1])),
    "three of one rank, oldest first": Noisy(LIST, _of_one_rank(3), _page(lambda rows: rows[::-1])),
    "counted twice while people write": Noisy(SHOW, _nothing, _field("messageCount", lambda n: 2 * n), writes=BUSY),
    "an hour late while people write": Noisy(SHOW, _nothing, _field("lastActivityAt", _later), writes=BUSY),
    "cut to seconds while people write": Noisy(
        SHOW, _nothing, _field("updatedAt", lambda at: at[:19] + "Z"), writes=BUSY
    ),
    "in capitals while people write": Noisy(MESSAGES, _nothing, _field("status", str.upper), writes=BUSY),
    "cut short, from a replica that lags": Noisy(LIST, KINDS["replica that lags"], _rows(_cut), writes=BUSY),
    "a text for what may still load": Noisy(SHOW, _loading, _field("presence", lambda at: "online")),
    "one host for all": Noisy(SHOW, SERVED, _turned("servedBy", lambda host: "localhost")),
    "local time by the second": Noisy(LIST, CLOCK, _turned("servedAt", _later)),
    "an hour in a cache that counts down": Noisy(SHOW, KINDS["max-age that counts down"], _max_age),
    "an estimate of everybody's": Noisy(LIST, ESTIMATE, _turned("estimate", lambda total: 10 * total)),
    "labels in any order, one of them missing": Noisy(SHOW, LABELS, _turned("labels", lambda each: each[1:])),
    "labels in any order, in capitals": Noisy(SHOW, LABELS, _turned("labels", lambda each: [x.upper() for x in each])),
    "a banner for half, never shown": Noisy(SHOW, BANNER, _turned("banner", lambda banner: "none")),
    "a sealed cursor of the page before": Noisy(LIST, SEALED, _turned("sealed", lambda cursor: cursor[::-1])),
}
MORE_OFTEN: Final[dict[str, Noisy]] = {  # wrong now and then, where noise is as well
    "two of one rank, one request in five oldest first": Noisy(
        LIST, _of_one_rank(2), _page(lambda rows: rows[::-1]), 0.2
    ),
    "a stale count while people write": Noisy(
        SHOW, _nothing, _field("messageCount", lambda n: n - 1), 0.25, at_random=True, writes=BUSY
    ),
    "what still loads, more often": Noisy(SHOW, _loading, _field("presence", lambda at: None), 0.3, at_random=True),
    "an unknown host, for three requests in ten": Noisy(
        SHOW, SERVED, _turned("servedBy", lambda host: "localhost"), 0.3
    ),
    "overload, more often": Noisy(SHOW, KINDS["overload"], _unavailable, 0.05, at_random=True),
    "a banner for few, shown to more": Noisy(SHOW, _few, _turned("banner", lambda banner: "sale"), 0.1, at_random=True),
    "a replica that lags, more often": Noisy(
        LIST, KINDS["replica that lags"], _lagging, 0.4, at_random=True, writes=BUSY
    ),
    "an estimate of another shard, for some": Noisy(LIST, ESTIMATE, _turned("estimate", lambda total: total + 40), 0.3),
    "an hour in a cache, for some": Noisy(SHOW, KINDS["max-age that counts down"], _max_age, 0.3),
}
RULED: Final[dict[str, Noisy]] = {  # in fields with the rule that their users would write
    "a clock within 5 s, local time": Noisy(
        LIST, PRECISE, _turned("servedAt", _later), rules=_ruled(("meta.servedAt", Timestamp("servedAt", 5.0)))
    ),
    "activity within 10 s, an hour late": Noisy(
        *(SHOW, _nothing, _field("lastActivityAt", _later)),
        writes=BUSY,
        rules=_ruled(("data.lastActivityAt", Timestamp("lastActivityAt", 10.0))),
    ),
    "a counter within 50, counted twice": Noisy(
        SHOW, SEEN, _turned("seen", lambda n: 2 * n), rules=_ruled(("meta.seen", Tolerance("seen", Decimal(50))))
    ),
    "a quota within 50, of another plan": Noisy(
        SHOW,
        QUOTA,
        _turned("quota", lambda n: n + 4_000),
        rules=_ruled(("meta.quota", Tolerance("quota", Decimal(50)))),
    ),
    "labels unordered, one of them missing": Noisy(
        *(SHOW, LABELS, _turned("labels", lambda each: [x for x in each if x != "bug"])),
        rules=_ruled(("meta.labels", Unordered("labels"))),
    ),
    "a page unordered, one of it missing": Noisy(
        *(LIST, _of_one_rank(7), _page(lambda rows: sorted(rows, key=lambda row: int(row["id"]))[1:])),
        rules=_ruled(("data", Unordered("data", ("id",)))),
    ),
    "an alias, broken in one place": Noisy(
        *(LIST, _seen_by, lambda told, world: told.body["data"][2].__setitem__("view", token(world))),
        rules=_ruled(("meta.view", Alias("view", 1)), ("data[*].view", Alias("view", 1))),
    ),
    "a score within a millionth, rounded": Noisy(
        *(SHOW, SCORE, _turned("score", lambda score: round(score, 1))),
        rules=_ruled(("meta.score", Tolerance("score", Decimal("0.000001")))),
    ),
    "a duration within a second, in microseconds": Noisy(
        *(SHOW, TOOK, _turned("took", lambda took: 1_000 * took)),
        rules=_ruled(("meta.took", Tolerance("took", Decimal(1_000)))),
    ),
    "an estimate within 5 %, by half": Noisy(
        *(LIST, ESTIMATE, _turned("estimate", lambda total: total // 2)),
        rules=_ruled(("meta.estimate", Tolerance("estimate", relative=Decimal("0.05")))),
    ),
}
