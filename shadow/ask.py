"""One question to one side, whatever that side does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .observation import MARK, Observation, Recorder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

Header = tuple[bytes, bytes]
Sign = Callable[[Mapping[str, Any], list[Header]], list[Header]]

WORDS: Final = b"x-strangler-"
DEADLINE: Final = "deadline"  # the error of an observation whose side had no time left
UNREACHED: Final = "unreached"  # of one whose side has not got a byte of the question: it is down, or full
REFUSED: Final = "refused"  # of one whose side says that it answers no shadows, or not now
SILENT: Final = frozenset({DEADLINE, UNREACHED, REFUSED})  # nothing is known of what the side would have said


class _Gone(OSError):
    """Nobody listens any more: the deadline has passed, or the answer is larger than anybody will compare."""


def unsigned(scope: Mapping[str, Any], words: list[Header]) -> list[Header]:
    return words


def marked(scope: Mapping[str, Any], request_id: str, sign: Sign = unsigned) -> MutableMapping[str, Any]:
    """The user's scope as a shadow request: a copy, because applications write into it, and with our mark only.

    `sign` adds to the mark what makes others believe it. It is asked at each sending, because a signature ages.
    """
    headers = [(name, value) for name, value in scope.get("headers", ()) if not name.lower().startswith(WORDS)]
    copy = dict(scope)
    copy["headers"] = headers + sign(scope, [(MARK, request_id.encode("latin-1", "replace"))])
    copy["extensions"] = {}  # they promise what a recorder does not do: trailers, files by path, early hints
    if "state" in copy:
        copy["state"] = dict(copy["state"])
    return copy


class Asker:
    """Asks sides, and owns the tasks that do. `limit`: bytes of an answer; `patience`: seconds.

    A side that ignores its cancellation is abandoned: its task stays listed in `strays` until it ends by itself.
    """

    def __init__(self, limit: int, patience: float) -> None:
        self._limit, self._patience = limit, patience
        self._tasks: set[asyncio.Task[None]] = set()
        self.strays: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        app: ASGIApp,
        scope: MutableMapping[str, Any],
        body: bytes,
        seconds: float,
        limit: int | None = None,
    ) -> Observation:
        """What the side answers within `seconds`, in at most so many bytes if that is not the usual `limit`. Neither
        the side's failures nor its silence are raised."""
        limit = self._limit if limit is None else limit
        if seconds <= 0.0:
            return Recorder(limit).observe(0.0, DEADLINE)
        loop = asyncio.get_running_loop()
        call, asked = _Call(body, limit, bodiless=scope["method"] == "HEAD"), loop.time()
        task = loop.create_task(call.put(app, scope))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            late = not task.done()
            call.over.set()
            await self._cancel({task})
        answer = call.recorder.observe((call.ended or loop.time()) - asked, call.error(task, late=late))
        return replace(answer, complete=False, error=REFUSED) if answer.refused else answer

    async def close(self) -> None:
        """Cancel what is still running, strays included."""
        await self._cancel(self._tasks)

    async def _cancel(self, tasks: Collection[asyncio.Task[None]]) -> None:
        running = {task for task in tasks if not task.done()}
        for task in running:
            task.cancel()
        if running:
            try:
                await asyncio.wait(running, timeout=self._patience)
            finally:
                self.strays |= {task for task in running if not task.done()}

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.strays.discard(task)
        if not task.cancelled():
            task.exception()  # seen: a stray's late failure is nobody's news


class _Call:
    """The client's end of one question."""

    def __init__(self, body: bytes, limit: int, *, bodiless: bool) -> None:
        self.recorder, self.over, self.ended = Recorder(limit), asyncio.Event(), 0.0
        self._body: bytes | None = body
        self._bodiless = bodiless

    async def put(self, app: ASGIApp, scope: MutableMapping[str, Any]) -> None:
        await app(scope, self._receive, self._send)

    def error(self, task: asyncio.Task[None], *, late: bool) -> str | None:
        if self.recorder.done or self.recorder.truncated:
            return None  # the answer was over, one way or the other, before anything else could go wrong
        if late:
            return DEADLINE
        if task.cancelled():
            return "CancelledError"
        fault = task.exception()
        if fault is None:
            return None
        # A side that is somewhere else may say of its failure that it has not come to hear the question.
        return type(fault).__name__ if getattr(fault, "reached", True) else UNREACHED

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.recorder.done:
            return
        if self.over.is_set():
            raise _Gone
        self.recorder.feed(message)
        if message["type"] == "http.response.start" and not self._bodiless:
            self.recorder.expect()
        if self.recorder.done or self.recorder.truncated:
            self.ended = asyncio.get_running_loop().time()
            self.over.set()
        await asyncio.sleep(0)  # a side that never waits must not keep everybody else waiting
        if self.recorder.truncated:
            raise _Gone
