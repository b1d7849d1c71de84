"""The audit for those who listen: each change as a server-sent event, as soon as the store tells of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable
from contextlib import aclosing

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flags.audit import BEGINNING, Record
from flags.errors import StoreUnavailable
from flags.store import Store
from proxy import told

BEAT = 15.0  # seconds of silence until a comment says that the stream lives
READERS = 32  # at once on one worker: each has a connection to the store of its own
PAGE = 100  # records told at a time
TAKEN_WITHIN = 30.0  # seconds that a reader has to take what it is sent

_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]


class Events:
    """`over` is set when this process stops: readers are let go then, and go on elsewhere by the last id they saw."""

    def __init__(
        self, store: Store, over: asyncio.Event, *, beat: float = BEAT, taken_within: float = TAKEN_WITHIN
    ) -> None:
        self.store, self.over, self.beat, self.taken_within = store, over, beat, taken_within
        self.readers = set[Reader]()

    async def reader(self, after: str | None) -> Reader:
        """A stream of what happens behind the record with this id, or from now on."""
        if after is None:
            newest = await self.store.audit(1)
            after = newest[0].id if newest else BEGINNING
        elif not _ID.fullmatch(after):
            raise HTTPException(400, "Last-Event-ID must be the id of an event")
        if self.over.is_set():
            raise HTTPException(503, "this process stops, and tells nothing more", {"retry-after": "1"})
        if len(self.readers) >= READERS:
            raise HTTPException(503, f"{READERS} readers listen to this worker already", {"retry-after": "5"})
        return Reader(self, after)


class Reader(Response):
    """One who listens, until they leave or this process stops."""

    def __init__(self, events: Events, after: str) -> None:
        super().__init__()
        self._events, self._store, self._after = events, events.store, after
        self._news, self._over = asyncio.Event(), False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._events.readers.add(self)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async with asyncio.TaskGroup() as tasks:
                ends = self._ends_with(_left(receive)), self._ends_with(self._events.over.wait())
                watches = [tasks.create_task(watch) for watch in (self._listen(), *ends)]
                try:
                    await self._tell(send)
                finally:
                    for watch in watches:
                        watch.cancel()
        finally:
            self._events.readers.discard(self)

    async def _tell(self, send: Send) -> None:
        text = f"retry: 1000\nid: {self._after}\n\n".encode()  # whoever is cut off before an event knows where to go on
        while not self._over:
            self._news.clear()
            if not await self._taken(send, text):
                return
            text = await self._new() or await self._silence()
        await self._taken(send, text, more=False)

    async def _new(self) -> bytes:
        try:
            records = await self._store.audited(self._after, PAGE)
        except StoreUnavailable:
            return b""  # it is asked again at the next news of it, or of silence
        if records:
            self._after = records[-1].id
        return b"".join(map(_event, records))

    async def _silence(self) -> bytes:
        """Nothing to tell, if there is news in time."""
        try:
            async with asyncio.timeout(self._events.beat):
                await self._news.wait()
        except TimeoutError:
            return b": nothing has changed\n\n"
        return b""

    async def _taken(self, send: Send, text: bytes, *, more: bool = True) -> bool:
        """Whether the reader took it: one that never does must not hold a place for ever."""
        try:
            async with asyncio.timeout(self._events.taken_within):
                await send({"type": "http.response.body", "body": text, "more_body": more})
        except TimeoutError:
            return False
        return True

    async def _listen(self) -> None:
        async with aclosing(self._store.changes()) as changes:
            async for _ in changes:
                self._news.set()

    async def _ends_with(self, end: Awaitable[object]) -> None:
        await end
        self._over = True
        self._news.set()


async def _left(receive: Receive) -> None:
    """Return when the reader is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(record: Record) -> bytes:
    said = told.record(record)
    return f"id: {record.id}\nevent: {said['what']}\ndata: {json.dumps(said)}\n\n".encode()
