"""Kinds of noise: what makes answers to the same question differ, though nothing is wrong. Both sides make it alike."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bench.noise.world import Answer, World

Kind = Callable[[Answer, World], None]
KINDS: dict[str, Kind] = {}
HOSTS = ("web-1", "web-2", "web-3")


def _kind(name: str) -> Callable[[Kind], Kind]:
    def named(kind: Kind) -> Kind:
        KINDS[name] = kind
        return kind

    return named


def meta(told: Answer) -> dict[str, Any]:
    found: dict[str, Any] = told.body.setdefault("meta", {})
    return found


def _rows(told: Answer) -> list[dict[str, Any]]:
    """The objects that the answer is about."""
    data = told.body.get("data", told.body.get("errors", told.body))
    return [row for row in (data if isinstance(data, list) else [data]) if isinstance(row, dict)]


def token(world: World, bits: int = 64) -> str:
    return f"{world.chance.getrandbits(bits):x}"


def _field(name: str, value: Callable[[World], Any]) -> None:
    """Noise that is one more field beside the data."""
    KINDS[name] = lambda told, world: meta(told).__setitem__(name, value(world))


def _sometimes(name: str, chance: float, value: Callable[[World], Any]) -> None:
    """As above, in this part of the answers only."""

    def kind(told: Answer, world: World) -> None:
        if world.chance.random() < chance:
            meta(told)[name] = value(world)

    KINDS[name] = kind


def iso(moment: float, digits: str) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec=digits)


def counted(name: str, world: World, by: int) -> int:
    world.memory[name] = world.memory.get(name, 1_000) + by
    return int(world.memory[name])


_field("requestId", token)
_field("clock in milliseconds", lambda world: iso(world.now, "milliseconds"))
_field("clock in seconds", lambda world: iso(world.now, "seconds"))
_field("clock in minutes", lambda world: iso(world.now, "minutes"))
_field("relative time", lambda world: f"{int(world.now % 3600 // 7)} moments ago")
_field("CSRF token", lambda world: token(world, 256))
_field("cursor with a nonce", lambda world: f"MTc2ODI5ODQwMA.{token(world, 48)}")
_field("duration", lambda world: round(world.chance.lognormvariate(2, 0.5)))
_field("host", lambda world: world.chance.choice(HOSTS))
_field("cache hit", lambda world: world.chance.random() < 0.9)
_field("banner for half", lambda world: world.chance.choice(["sale", "none"]))
_field("banner for few", lambda world: "sale" if world.chance.random() < 0.02 else "none")
_field("views", lambda world: counted("views", world, 1))
_field("limit that is left", lambda world: counted("left", world, -1))
_field("approximate total", lambda world: round(world.chance.gauss(2_000, 1), -1))
_field("load", lambda world: round(0.37 + world.chance.gauss(0, 1e-9), 10))
_field("a set in any order", lambda world: world.chance.sample(["vip", "billing", "bug", "spam"], 4))
_field("suggestions", lambda world: sorted(world.chance.sample(range(12), 3)))
_sometimes("sampled", 0.1, lambda world: True)
_sometimes("debug", 0.3, lambda world: {"sql": 3, "node": "a"})
_sometimes("experiment", 0.01, lambda world: {"variant": "b"})


@_kind("signed address")
def _signed(told: Answer, world: World) -> None:
    """Which expires, so that it changes every now and then."""
    for row in _rows(told):
        until = int(world.now // 30) * 30
        row["avatarUrl"] = f"https://cdn.example/{row.get('id', 0)}?e={until}&s={token(world, 32)}"


@_kind("trace with keys of its own")
def _trace(told: Answer, world: World) -> None:
    meta(told)["trace"] = {token(world, 32): 1}


@_kind("jitter in every element")
def _jitter(told: Answer, world: World) -> None:
    for row in _rows(told):
        row["score"] = 0.5 + (world.chance.random() < 0.3) * 1e-12


@_kind("elements of one rank in any order")
def _rank(told: Answer, world: World) -> None:
    rows = told.body.get("data")
    if isinstance(rows, list) and len(rows) > 2 and world.chance.random() < 0.5:
        rows[1], rows[2] = rows[2], rows[1]


@_kind("replica that lags")
def _replica(told: Answer, world: World) -> None:
    """A part of the answers is a write behind."""
    if world.version and world.chance.random() < 0.2 and "data" in told.body:
        told.body["data"] = copy.deepcopy(world.before["data"])


@_kind("null while it loads")
def _loading(told: Answer, world: World) -> None:
    if rows := _rows(told):
        row = min(rows, key=lambda each: str(each.get("id")))
        row["presence"] = None if world.chance.random() < 0.15 else {"online": True}


@_kind("max-age that counts down")
def _age(told: Answer, world: World) -> None:
    told.headers["cache-control"] = f"max-age={60 - int(world.now) % 60}, private"


@_kind("cookie for few")
def _cookie(told: Answer, world: World) -> None:
    if world.chance.random() < 0.05:
        told.headers["set-cookie"] = "seen=1; Path=/"


@_kind("overload")
def _overload(told: Answer, world: World) -> None:
    if world.chance.random() < 0.01:
        told.status, told.body = 503, {"error": "unavailable"}
