"""What passes between a side and the user, listened to on the way: the request's body and the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive, Send

from proxy.errors import ClientStalled, Saturated, SideFailed
from proxy.headers import Header, message_head, status_line
from proxy.resting import Resting
from shadow.observation import Recorder

DISCARDED = b"x-strangler-discarded"


class Kept:
    """`receive`, keeping up to `limit` bytes of the body it hands out, so that another side can be asked the same.

    `left`: the user has gone. `ended_at`: when the request was whole, by `time.perf_counter`. `resting` hears while
    more of the body is waited for.
    """

    __slots__ = ("_chunks", "_limit", "_receive", "_resting", "_waits", "ended", "ended_at", "left", "size")

    def __init__(self, receive: Receive, limit: int, resting: Resting | None = None) -> None:
        self._receive, self._limit, self._resting = receive, limit, resting
        self._chunks: list[bytes] = []
        self._waits: Callable[[bool], None] | None = None if resting is None else resting.sends
        self.size = 0
        self.ended = self.left = False
        self.ended_at = 0.0

    @contextmanager
    def waits_told(self, waits: Callable[[bool], None]) -> Iterator[None]:
        """Within the block `waits` hears when a wait for more of the body begins (True) and ends (False)."""
        self._waits = waits
        try:
            yield
        finally:
            self._waits = None

    async def __call__(self) -> Message:
        if self._waits is not None and not self.ended:
            self._waits(True)
            try:
                message = await self._receive()
            finally:  # who asked may have changed its mind
                if self._waits is not None:
                    self._waits(False)
        else:
            message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left = True
        elif message["type"] == "http.request":
            body = message.get("body", b"")
            self.size += len(body)
            if not message.get("more_body", False):
                self.ended, self.ended_at = True, time.perf_counter()
            if body and self.whole:
                self._chunks.append(body)
            elif not self.whole:
                self._chunks.clear()
        return message

    def over(self) -> None:
        """The request is about to be closed."""
        if self._resting is not None:
            self._resting.over()

    @property
    def whole(self) -> bool:
        return self.size <= self._limit

    @property
    def body(self) -> bytes:
        return b"".join(self._chunks)

    def again(self) -> Receive:
        """The same request for another side: first what was kept, then what is still to come."""
        replayed = False

        async def receive() -> Message:
            nonlocal replayed
            if replayed or not (self.size or self.ended):
                return await self._receive()
            replayed = True
            return {"type": "http.request", "body": self.body, "more_body": not self.ended}

        return receive


class Answer:
    """`send`, with status and progress noted. What is `held` reaches nobody, so that another answer can be given.

    `resting` hears of what the user gets, and while he takes no more.
    """

    __slots__ = ("_judge", "_recorder", "_resting", "_send", "complete", "discarded", "held", "started", "status")

    def __init__(self, send: Send, recorder: Recorder | None = None, resting: Resting | None = None) -> None:
        self._send, self._recorder, self._resting = send, recorder, resting
        self._judge: Callable[[Answer], bool] | None = None
        self.status = 0
        self.started = self.complete = self.held = self.discarded = False

    @contextmanager
    def judged(self, may_start: Callable[[Answer], bool]) -> Iterator[None]:
        """Within the block an answer is sent only if `may_start` says so of its head; else it is held."""
        self._judge = may_start
        try:
            yield
        finally:
            self._judge = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head(message)
        if self.held:
            return None
        if self._recorder is not None:
            self._recorder.feed(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True
        if self._resting is None:
            return await self._send(message)
        self._resting.gets(full=True)
        try:
            return await self._send(message)  # as soon as there is room for it
        finally:
            self._resting.goes_on()

    def _head(self, message: Message) -> None:
        self.status = message["status"]
        if self._judge is not None:
            self.discarded = any(name.lower() == DISCARDED and value == b"1" for name, value in message["headers"])
        self.held = self._judge is not None and not self._judge(self)
        self.started = not self.held


def refusal(side: str, failure: SideFailed | ClientStalled, request_id: str) -> tuple[int, list[Header], bytes]:
    """What a user is told to whom no side gave an answer, in the words of the API's other errors: status, headers and
    body."""
    body = json.dumps({"error": f"{side}_{failure.kind}", "requestId": request_id}).encode()
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
    ]
    if isinstance(failure, Saturated):
        headers.append((b"retry-after", b"1"))
    return failure.status, headers, body


def refusal_on_wire(
    side: str, failure: SideFailed | ClientStalled, request_id: str, *, keep: bool = False, head_only: bool = False
) -> bytes:
    """The same as a whole message; without `keep` the connection is to close after it."""
    status, headers, body = refusal(side, failure, request_id)
    if not keep:
        headers.append((b"connection", b"close"))
    head = message_head(status_line(status, b""), headers)
    return head if head_only else head + body


async def refuse(send: Send, side: str, failure: SideFailed | ClientStalled, request_id: str) -> None:
    status, headers, body = refusal(side, failure, request_id)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
