"""A double of Facebook: the part of its Graph API that a page sends by, and the webhooks that it delivers.

A real HTTP server. It takes every message until it is told otherwise: `PUT /demo/answers` lists what the next calls are
answered, in their order; `GET /demo/sent` tells of all calls. `Graph` is both for who has started one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.service import LOOPBACK, Service, await_ready, free_port, launch
from demo.stores import INHERITED

ROOT = Path(__file__).parent.parent
ANSWERS, SENT = "/demo/answers", "/demo/sent"
HANG = 3600.0


@dataclass(frozen=True, slots=True)
class Planned:
    """How one call is answered, when, and whether its message is taken."""

    status: int = 200
    retry_after: str | None = None
    seconds: float = 0.0  # before the answer; for longer than anyone waits: `HANG`
    code: int = 0  # Facebook's number of the error
    taken: bool | None = None  # also where the answer does not say so; like the status if None

    def headers(self) -> dict[str, str]:
        return {"Retry-After": self.retry_after} if self.retry_after is not None else {}

    @property
    def takes(self) -> bool:
        return self.status == 200 if self.taken is None else self.taken


@dataclass(frozen=True, slots=True)
class Sent:
    """One call, and the id that its message was given if it was taken."""

    token: str
    recipient: str
    text: str
    message_id: str | None


class GraphApi:
    """What the server holds: the answers that are planned, and the calls that came."""

    def __init__(self) -> None:
        self.planned: deque[Planned] = deque()
        self.sent: deque[Sent] = deque(maxlen=10_000)

    async def answers(self, request: Request) -> Response:
        self.planned = deque(Planned(**planned) for planned in await request.json())
        return Response(status_code=204)

    async def calls(self, request: Request) -> Response:
        return JSONResponse([asdict(sent) for sent in self.sent])

    async def send(self, request: Request) -> Response:
        plan = self.planned.popleft() if self.planned else Planned()
        body = await request.json()
        message_id = f"m_{uuid.uuid4().hex}" if plan.takes else None
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        recipient = body["recipient"]["id"]
        self.sent.append(Sent(token, recipient, body["message"]["text"], message_id))
        await asyncio.sleep(plan.seconds)
        if plan.status == 200:
            return JSONResponse({"recipient_id": recipient, "message_id": message_id})
        error = {"message": "as planned", "type": "OAuthException", "code": plan.code}
        return JSONResponse({"error": error}, plan.status, plan.headers())


def graph_app() -> Starlette:
    api = GraphApi()
    return Starlette(
        routes=[
            Route("/me/messages", api.send, methods=["POST"]),
            Route(ANSWERS, api.answers, methods=["PUT"]),
            Route(SENT, api.calls),
        ]
    )


@dataclass(frozen=True, slots=True)
class Graph:
    """A running double, and Facebook's part of the conversation with our webhooks."""

    service: Service

    def plan(self, *answers: Planned) -> None:
        httpx.put(self.service.url + ANSWERS, json=[asdict(planned) for planned in answers]).raise_for_status()

    def sent(self) -> list[Sent]:
        return [Sent(**sent) for sent in httpx.get(self.service.url + SENT).raise_for_status().json()]


def start_graph(directory: Path) -> Graph:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "demo.graph:graph_app", "--port", str(port)]
    service = launch(
        "Graph",
        [*command, "--host", LOOPBACK, "--no-access-log", "--timeout-graceful-shutdown", "1"],
        port=port,
        log=directory / "graph.log",
        environment=INHERITED,
        directory=ROOT,
    )
    await_ready(service, lambda: "Uvicorn running" in service.log.read_text())
    return Graph(service)


def written(page: str, sender: str, mid: str, text: str) -> dict[str, Any]:
    """The event of a message that somebody wrote to a page, in an entry of its own."""
    message = {"mid": mid, "text": text}
    event = {"sender": {"id": sender}, "recipient": {"id": page}, "timestamp": 1_767_603_600_000, "message": message}
    return {"id": page, "time": 1_767_603_600_001, "messaging": [event]}


def delivery(entries: Iterable[dict[str, Any]]) -> bytes:
    return json.dumps({"object": "page", "entry": [*entries]}).encode()


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers that Facebook delivers a body with."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}


def deliver(url: str, secret: str, *entries: dict[str, Any]) -> int:
    """Deliver once; how that was answered. Facebook delivers anew what was not answered 200, and sometimes what was."""
    body = delivery(entries)
    return httpx.post(f"{url}/webhooks/facebook", content=body, headers=signed(body, secret), timeout=20).status_code
