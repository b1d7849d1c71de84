"""Who is measured, and the routes: each as the requests that wrk sends in turn. No I/O."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NATIVE, EAGER, LEGACY = "native", "legacy, eager", "legacy"
NATIVE_SMALL = "native, tables of the seeds"
LIST, SHOW, CREATE = "list", "show", "create"
SHOW_UNREAD = "show, none of them read before"
BUSY = 432  # a conversation of the seeds with many messages
SEEDED = 2_000  # conversations of the seeds; those that the benchmark adds come behind


@dataclass(frozen=True, slots=True)
class Asked:
    """One route. `start` and `step` choose a row for each request, so that none of a run is asked for twice."""

    name: str
    method: str
    path: str
    body: Callable[[int], Mapping[str, Any]] | None = None
    admin: bool = False
    secret: bool = False  # signed as Facebook does
    many: bool = False  # of a row for each request

    def raw(self, port: int, number: int, tokens: Mapping[str, str], app_secret: str) -> bytes:
        body = json.dumps(self.body(number)).encode() if self.body else b""
        path = self.path.format(row=SEEDED + 1 + number)
        lines = [f"{self.method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        if self.secret:
            lines.append(f"X-Hub-Signature-256: sha256={hmac.digest(app_secret.encode(), body, 'sha256').hex()}")
        else:
            lines.append(f"Authorization: Bearer {tokens['admin' if self.admin else 'agent']}")
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


ROUTES: Sequence[Asked] = (
    Asked(LIST, "GET", "/api/v1/conversations"),
    Asked("list by status", "GET", "/api/v1/conversations?status=pending"),
    Asked(SHOW, "GET", f"/api/v1/conversations/{BUSY}"),
    Asked(SHOW_UNREAD, "GET", "/api/v1/conversations/{row}", many=True),
    Asked("messages", "GET", f"/api/v1/conversations/{BUSY}/messages"),
    Asked(
        CREATE,
        "POST",
        "/api/v1/messages",
        lambda number: {"content": "Thank you, your parcel leaves today.", "conversationId": SEEDED + 1 + number},
        many=True,
    ),
    Asked(
        "change a conversation",
        "PATCH",
        "/api/v1/conversations/{row}",
        lambda number: {"status": "resolved" if number % 2 else "pending"},
        many=True,
    ),
    Asked("user", "GET", "/api/v1/users/2"),
    Asked("settings", "GET", "/api/v1/accounts/1/settings"),
    Asked(
        "change settings", "PATCH", "/api/v1/accounts/1/settings", lambda number: {"autoReply": number % 2 == 0}, True
    ),
    Asked("inbox", "GET", "/api/v1/inboxes/1"),
    Asked(
        "webhook",
        "POST",
        "/webhooks/facebook",
        lambda number: {
            "object": "page",
            "entry": [{"id": "acme-page", "messaging": [{"message": {"mid": f"m{number}", "text": "Where is it?"}}]}],
        },
        secret=True,
    ),
)
EACH_ONCE = 20_000  # requests of one route in one file: more than are answered in a run
MIXED = (LIST, SHOW_UNREAD, CREATE)  # one statement of many rows, one of a few and a transaction


def file(
    asked: Asked, port: int, first: int, tokens: Mapping[str, str], app_secret: str, count: int = EACH_ONCE
) -> bytes:
    """The requests of a run as `raw.lua` reads them: the length in a line of its own, then the bytes."""
    raw = (asked.raw(port, first + number, tokens, app_secret) for number in range(count if asked.many else 2))
    return b"".join(map(behind_its_length, raw))


def mixed(port: int, first: int, tokens: Mapping[str, str], count: int = EACH_ONCE) -> bytes:
    """The routes of `MIXED` in turn."""
    routes = [asked for asked in ROUTES if asked.name in MIXED]
    raw = (asked.raw(port, first + number, tokens, "") for number in range(count) for asked in routes)
    return b"".join(map(behind_its_length, raw))


def behind_its_length(request: bytes) -> bytes:
    return b"%d\n%s" % (len(request), request)
