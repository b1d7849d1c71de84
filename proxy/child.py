"""One worker, as its supervisor sees it: a process, the line to it, and what it said last."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

from proxy.line import Line, Word
from proxy.post import Post

Heard = tuple[str, float, str]  # a trip: its route, when, why


class Child:
    """A fresh interpreter that runs the command this process was started with, so that it finds new code and settings.

    `ready` is set once it takes requests. `ended` is its exit code, or below 0 the signal that ended it.
    """

    def __init__(self, worker: int, public: socket.socket, private: socket.socket, listen: str, admin: str) -> None:
        loop = asyncio.get_running_loop()
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._line: Line | None = None
        with theirs:
            post = Post(worker, public.fileno(), private.fileno(), theirs.fileno(), listen, admin)
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
        self.drain = 0.0
        self.leaving = False
        self.counts = b""
        self.latched: set[Heard] = set()
        self.heard: set[Heard] = set()

    @property
    def serving(self) -> bool:
        return self.ready.done() and not self.leaving and not self.ended.done()

    @property
    def age(self) -> float:
        return asyncio.get_running_loop().time() - self.started

    async def connect(self) -> None:
        """Open the line to it."""
        self._line = await Line.over(self._ours)

    async def messages(self) -> AsyncIterator[tuple[Word, bytes]]:
        """What it asks of others; what it says of itself is kept here."""
        assert self._line is not None
        async for word, body in self._line.messages():
            if word is Word.READY:
                self.drain = json.loads(body)["drain"]
                self.ready.set_result(None)
            elif word is Word.COUNTS:
                self.counts = body
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
        self._process.kill()


def ending(code: int) -> str:
    """An exit code in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
