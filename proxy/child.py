"""One worker, as its supervisor sees it: a process, the line to it, and what it said last."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from math import inf
from typing import Any

from proxy.crowd import Crowd
from proxy.line import Heard, Line, Word
from proxy.post import Post
from proxy.pulse import felt, pair
from proxy.sockets import Doors


class Child:
    """A fresh interpreter that runs the command this process was started with, so that it finds new code and settings.

    `stalled` hears which routes are to blame for it standing still, each with of when its trip is at the earliest.
    `ready` is set once it takes requests. `ended` is its exit code, or below 0 the signal that ended it.
    """

    def __init__(self, worker: int, doors: Doors, crowd: Crowd, stalled: Callable[[dict[str, float]], None]) -> None:
        loop = asyncio.get_running_loop()
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._line: Line | None = None
        self._pulse, their_pulse = pair()
        self._stalled = stalled
        with theirs, their_pulse:
            public, private = doors.public.fileno(), doors.private.fileno()
            ends, where = (theirs.fileno(), their_pulse.fileno()), (doors.listen, doors.admin)
            post = Post(worker, public, private, *ends, *where, crowd.descriptor)
            self._process = subprocess.Popen(  # noqa: S603  # the command that started us
                [sys.executable, *sys.orig_argv[1:]],
                env={**os.environ, **post.variable()},
                pass_fds=post.descriptors,
                stdin=subprocess.DEVNULL,
                process_group=0,  # the terminal's Ctrl-C is for the supervisor alone
            )
        self.worker, self.pid = worker, self._process.pid
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.started = loop.time()
        self.drain = self.limit = 0.0
        self.silence = -inf  # seconds since its pulse was felt; none is expected before the first time
        self.leaving = False
        self.counts = b""
        self.shadows: Any = None  # what it says of its shadow work
        self.latched: set[Heard] = set()
        self.heard: set[Heard] = set()

    @property
    def serving(self) -> bool:
        return self.ready.done() and not self.leaving and not self.ended.done()

    @property
    def age(self) -> float:
        return asyncio.get_running_loop().time() - self.started

    async def connect(self) -> None:
        """Open the line to it, and feel its pulse."""
        asyncio.get_running_loop().add_reader(self._pulse, self._feel)
        self._line = await Line.over(self._ours)

    async def messages(self) -> AsyncIterator[tuple[Word, bytes]]:
        """What it asks of others; what it says of itself is kept here."""
        assert self._line is not None
        async for word, body in self._line.messages():
            if word is Word.READY:
                agreed = json.loads(body)
                self.drain, self.limit = agreed["drain"], agreed["watchdog"]
                self.ready.set_result(None)
            elif word is Word.COUNTS:
                self.counts = body
            elif word is Word.SHADOWS:
                self.shadows = json.loads(body)
            yield word, body

    def post(self, word: Word, body: bytes) -> None:
        if self._line is not None:
            self._line.post(word, body)

    async def send(self, word: Word, body: bytes) -> None:
        if self._line is not None:
            await self._line.send(word, body)

    def look(self) -> None:
        """A process has ended: was it this one?"""
        code = self._process.poll()
        if code is not None and not self.ended.done():
            self.ended.set_result(code)

    def stands_still(self, seconds: float) -> bool:
        """Whether it has had no pulse for too long, so many seconds after this was last asked. What it sees of that
        itself it has the time to tell."""
        self.silence += seconds
        return self.serving and self.silence > self.limit * 1.5

    def hangs(self, within: float) -> bool:
        """Whether it takes no requests so many seconds after its start, and nobody has given it up."""
        return not (self.ready.done() or self.leaving or self.ended.done()) and self.age > within

    def leave(self) -> None:
        """Another worker serves in its place: it takes no more connections, and ends once it has finished."""
        self.leaving = True
        self._process.send_signal(signal.SIGTERM)

    def hang_up(self) -> None:
        """The whole proxy ends."""
        self.leaving = True
        with suppress(OSError):  # it is gone already
            self._ours.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        self.silence, self.leaving = -inf, True
        self._process.kill()

    def _feel(self) -> None:
        try:
            for routes in felt(self._pulse):
                if routes is None:
                    self.silence = 0.0
                else:
                    self._stalled(routes)
        except EOFError:
            asyncio.get_running_loop().remove_reader(self._pulse)
            self._pulse.close()


def ending(code: int) -> str:
    """An exit code in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
