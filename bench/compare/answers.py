"""Pairs of answers of a given size, like those of the messaging application, and the rules they are compared by."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import brotli

from shadow.observation import Observation
from shadow.paths import parse
from shadow.rules import Alias, Rules, Timestamp, Tolerance, Unordered

SEED = 20260113
JSON = (b"content-type", b"application/json")
HTML = (b"content-type", b"text/html; charset=utf-8")
WORDS = (
    "the order",
    "has been shipped",
    "thank you",
    "is there anybody",
    "we will look into it",
    "– café –",
    "tomorrow",
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers, and how many differences are left when the rules have been heard."""

    name: str
    control: Observation
    candidate: Observation
    rules: Rules
    left: int

    @property
    def size(self) -> int:
        """Bytes of the larger body, as they were before they were encoded."""
        return max(len(each.body) for each in (self.control, self.candidate))


def pairs(size: int) -> list[Pair]:
    """Pairs whose bodies have about so many bytes."""
    chance = random.Random(SEED)
    rows = _rows(size, chance)
    there = _json(rows)
    shuffled = chance.sample(rows, len(rows))
    texts = [{"text": row["body"], "n": row["id"]} for row in _rows(size * 27 // 10, chance)]
    items = _rows(size * 19 // 10, chance)
    page, other = _page(items), _page(_changed(items, lambda row: {"body": row["body"].upper()}, every=50))
    one = _changed(rows, lambda row: {"status": "open"}, every=len(rows))
    moved = [{**copy.deepcopy(rows[0]), "id": 0}, *rows]
    close = Rules.parse(
        rules=[
            ("data[*].score", Tolerance("near", Decimal("0.01"))),
            ("data[*].createdAt", Timestamp("soon", 2.0)),
            ("data[*].id", Alias("ids", 0)),
        ]
    )
    noisy = _changed(
        rows, lambda row: {"score": row["score"] + 0.001, "id": row["id"] + 7, "createdAt": "2026-01-13T10:00:01Z"}
    )
    gzipped = Observation(200, (JSON, (b"content-encoding", b"gzip")), gzip.compress(_body(one)), True, 0.0)
    packed = Observation(200, (JSON, (b"content-encoding", b"br")), brotli.compress(_body(one), quality=4), True, 0.0)
    return [
        Pair("the same bytes", there, _json(rows), Rules(), 0),
        Pair(
            "the same, spaced otherwise",
            there,
            Observation(200, (JSON,), _body(rows, spaced=True), True, 0.0),
            Rules(),
            0,
        ),
        Pair("one value", there, _json(one), Rules(), 1),
        Pair("one value, gzip", there, gzipped, Rules(), 1),
        Pair("one value, br", there, packed, Rules(), 1),
        Pair("one element more at the front", there, _json(moved), Rules(), 1),
        Pair("a field of every element", there, _json(_changed(rows, lambda row: {"status": "-"})), Rules(), len(rows)),
        Pair(
            "ignored in every element",
            there,
            _json(_changed(rows, lambda row: {"status": "-"})),
            Rules.parse(["data[*].status"]),
            0,
        ),
        Pair("three rules in every element", there, _json(noisy), close, 0),
        Pair(
            "another order, by id",
            there,
            _json(shuffled),
            Rules.parse(rules=[("data", Unordered("any", parse("id")))]),
            0,
        ),
        Pair(
            "another order, no ids",
            _json(texts),
            _json(chance.sample(texts, len(texts))),
            Rules.parse(rules=[("data", Unordered("any"))]),
            0,
        ),
        Pair("HTML, every 50th text", page, other, Rules(), len(range(0, len(items), 50))),
    ]


def _rows(size: int, chance: random.Random) -> Rows:
    rows: Rows = []
    left = size
    while left > 0:
        number = len(rows) + 1
        body = " ".join(chance.choices(WORDS, k=chance.randint(2, 12)))
        row = {
            "id": number,
            "conversationId": chance.randint(1, 500),
            "body": body,
            "status": chance.choice(("sent", "read", "failed")),
            "private": chance.random() < 0.1,
            "score": round(chance.random() * 5, 2),
            "createdAt": "2026-01-13T10:00:00Z",
            "sender": {"id": chance.randint(1, 90), "name": f"Agent {chance.randint(1, 90)}", "avatarUrl": None},
            "labels": chance.sample(("vip", "billing", "bug", "spam"), k=2),
        }
        left -= len(json.dumps(row)) + 2
        rows.append(row)
    return rows


def _changed(rows: Rows, change: Callable[[dict[str, Any]], dict[str, Any]], every: int = 1) -> Rows:
    return [{**row, **change(row)} if at % every == 0 else row for at, row in enumerate(rows)]


def _body(rows: Rows, *, spaced: bool = False) -> bytes:
    return json.dumps({"data": rows}, ensure_ascii=False, indent=1 if spaced else None, sort_keys=spaced).encode()


def _json(rows: Rows) -> Observation:
    return Observation(200, (JSON,), _body(rows), True, 0.0)


def _page(rows: Rows) -> Observation:
    items = "\n".join(
        f'  <li class="message {row["status"]}" id="m{row["id"]}">'
        f"<b>{row['sender']['name']}</b>\n    <p>{row['body']}</p></li>"
        for row in rows
    )
    text = f"<!DOCTYPE html><html><head><title>Inbox</title></head><body><ul>\n{items}\n</ul></body></html>"
    return Observation(200, (HTML,), text.encode(), True, 0.0)
