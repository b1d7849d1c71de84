"""Facebook's webhooks: every request that may come is answered alike, and taken alike."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from redis import Redis

from demo.graph import delivery, signed, written
from demo.stack import Application
from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.tables import MALFORMED, MEDIA_TYPES_REFUSED, NO_OBJECT, table

WEBHOOK = "/webhooks/facebook"
SECRET, TOKEN = Application("", "").facebook_app_secret, Application("", "").facebook_verify_token
ENTRIES = [written("acme-page", "someone", "m_1", "<b>hi</b> \u2028 🎉"), written("nobodys-page", "x", "m_2", "hi")]
GOOD = delivery(ENTRIES)


def asks(name: str, status: int, query: str, method: str = "GET") -> Case:
    return Case(name, status, f"{WEBHOOK}?{query}", method, None)


def tells(name: str, status: int, body: bytes | None, signature: str | None = None, **rest: Any) -> Case:
    """A delivery, signed rightly unless said otherwise."""
    shown = signed(body or b"", SECRET)["X-Hub-Signature-256"] if signature is None else signature
    return Case(name, status, WEBHOOK, "POST", None, body, headers=(("X-Hub-Signature-256", shown),), **rest)


RIGHT = f"hub.mode=subscribe&hub.verify_token={TOKEN}"
HEX = signed(GOOD, SECRET)["X-Hub-Signature-256"].removeprefix("sha256=")


@table(
    [
        asks("challenge", 200, f"{RIGHT}&hub.challenge=1158201444"),
        asks("challenge of other characters", 200, f"{RIGHT}&hub.challenge=%3Cb%3E%F0%9F%8E%89%22%26%E2%80%A8"),
        asks("challenge as long as may be", 200, f"{RIGHT}&hub.challenge={'1' * 1_000}"),
        asks("challenge too long", 400, f"{RIGHT}&hub.challenge={'1' * 1_001}"),
        asks("HEAD of a challenge", 200, f"{RIGHT}&hub.challenge=1", "HEAD"),
        asks("no challenge", 400, RIGHT),
        asks("empty challenge", 400, f"{RIGHT}&hub.challenge="),
        asks("challenge without a value", 400, f"{RIGHT}&hub.challenge"),
        asks("blank challenge", 400, f"{RIGHT}&hub.challenge=%20"),
        asks("NUL in the challenge", 400, f"{RIGHT}&hub.challenge=%00"),
        asks("challenge as a list", 400, f"{RIGHT}&hub.challenge[]=1"),
        asks("challenge as a map", 400, f"{RIGHT}&hub.challenge[a]=1"),
        asks("wrong token", 403, "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1"),
        asks("token too long", 403, f"{RIGHT}x&hub.challenge=1"),
        asks("token of other characters", 403, "hub.mode=subscribe&hub.verify_token=%F0%9F%8E%89&hub.challenge=1"),
        asks("token as a list", 403, f"hub.mode=subscribe&hub.verify_token[]={TOKEN}&hub.challenge=1"),
        asks("empty token", 403, "hub.mode=subscribe&hub.verify_token=&hub.challenge=1"),
        asks("no token", 403, "hub.mode=subscribe&hub.challenge=1"),
        asks("another mode", 403, f"hub.mode=unsubscribe&hub.verify_token={TOKEN}&hub.challenge=1"),
        asks("no mode", 403, f"hub.verify_token={TOKEN}&hub.challenge=1"),
        asks("nothing", 403, ""),
        asks("unreadable", 400, f"{RIGHT}&hub.challenge=%"),
        Case("PUT", 404, WEBHOOK, "PUT", None, b"{}"),
        Case("PATCH", 404, WEBHOOK, "PATCH", None, b"{}"),
        Case("DELETE", 404, WEBHOOK, "DELETE", None),
        Case("extension", 404, f"{WEBHOOK}.json?{RIGHT}", token=None),
    ]
)
def test_the_address_is_confirmed_alike(sides: Sides, case: Case) -> None:
    sides.compare(case)


@table(
    [
        tells("good", 200, GOOD),
        tells("no entries", 200, b'{"object":"page"}'),
        tells("entries that are none", 200, b'{"object":"page","entry":{"id":"1"}}'),
        tells("an empty list of entries", 200, b'{"object":"page","entry":[]}'),
        tells("entries of nothing", 200, b'{"object":"page","entry":[null,false]}'),
        tells("about something else", 200, b'{"object":"instagram","entry":[]}'),
        tells("empty object", 200, b"{}"),
        tells("no body", 400, None),
        tells("empty body", 400, b""),
        *(tells(f"malformed: {name}", 400, body) for name, body in MALFORMED.items()),
        *(tells(f"no object: {name}", 400, body) for name, body in NO_OBJECT.items()),
        *(tells(f"media type {kind}", 200, GOOD, media_type=kind) for kind in MEDIA_TYPES_REFUSED),
        tells("a number beyond all others", 400, b'{"entry":[1e400]}'),
        tells("as deep as a job may hold", 200, b'{"entry":%b}' % (b"[" * 98 + b"]" * 98)),
        tells("deeper than a job may hold", 400, b'{"entry":%b}' % (b"[" * 99 + b"]" * 99)),
        tells("deep where no job is made of it", 200, b'{"entry":[{}],"x":%b}' % (b"[" * 99 + b"]" * 99)),
        tells("as long as may be", 200, b"{" + b" " * (2**20 - 2) + b"}"),
        tells("too long", 413, b"{" + b" " * (2**20 - 1) + b"}"),
        tells("too long and unsigned", 413, b" " * (2**20 + 1), ""),
        Case("no signature", 401, WEBHOOK, "POST", None, GOOD),
        Case("no signature on what is malformed", 401, WEBHOOK, "POST", None, b"{"),
        Case("the signature of old", 401, WEBHOOK, "POST", None, GOOD, headers=(("X-Hub-Signature", f"sha1={HEX}"),)),
        tells("empty signature", 401, GOOD, ""),
        tells("another secret", 401, GOOD, signed(GOOD, "wrong")["X-Hub-Signature-256"]),
        tells("another body", 401, GOOD + b" ", f"sha256={HEX}"),
        tells("no method", 401, GOOD, HEX),
        tells("another method", 401, GOOD, f"sha1={HEX}"),
        tells("upper case", 401, GOOD, f"sha256={HEX.upper()}"),
        tells("a cut signature", 401, GOOD, f"sha256={HEX[:-1]}"),
        tells("a signature of other characters", 401, GOOD, f"sha256={HEX[:-1]}é"),
        tells("white space after the signature", 200, GOOD, f"sha256={HEX}  "),
        tells("two signatures", 401, GOOD, f"sha256={HEX}, sha256={HEX}"),
        Case("unreadable query", 400, f"{WEBHOOK}?a=%", "POST", None, GOOD),
    ]
)
def test_a_delivery_is_answered_alike(sides: Sides, case: Case) -> None:
    sides.compare(case)


@pytest.mark.parametrize("entries", [ENTRIES, [None], [False, None], [[]]], ids=str)
def test_a_delivery_is_enqueued_alike(sides: Sides, redis: Redis, entries: list[Any]) -> None:
    jobs = []
    for side in (LEGACY, NATIVE):
        redis.delete("queues", "queue:default")
        assert sides.ask(side, tells("good", 200, delivery(entries))).status == 200
        assert redis.smembers("queues") == {"default"}
        (pushed,) = redis.lrange("queue:default", 0, -1)
        job = json.loads(pushed)
        assert re.fullmatch("[0-9a-f]{24}", job["jid"])
        assert isinstance(job["created_at"], float)
        assert abs(job["enqueued_at"] - job["created_at"]) < 60
        jobs.append(job | {"jid": None, "created_at": None, "enqueued_at": None})
    assert jobs[0] == jobs[1]
    assert jobs[1]["class"] == "FacebookWebhookJob"
    assert jobs[1]["args"] == [entries]


@pytest.mark.parametrize(
    "case",
    [
        Case("unsigned", 401, WEBHOOK, "POST", None, GOOD),
        tells("malformed", 400, b"{"),
        tells("a number beyond all others", 400, b'{"entry":[1e400]}'),
        tells("no entries", 200, b'{"entry":[]}'),
    ],
    ids=lambda case: case.name,
)
def test_what_is_refused_or_empty_enqueues_nothing(sides: Sides, redis: Redis, case: Case) -> None:
    redis.delete("queue:default")
    sides.compare(case)
    assert redis.llen("queue:default") == 0
