"""Where a worker takes in users from a listening socket, which other workers may have, too: its part of them.

An event loop takes all who wait as soon as it hears of them, and so the first to wake has them all: of two workers one
served 59 of 64 connections, and the other's core was idle. And out of files, it resets them without a word.
"""

from __future__ import annotations

import asyncio
import os
import resource
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf

import structlog

from proxy.crowd import Share

AT_ONCE = 64  # users that are taken in before others are served
PAUSE = 0.001  # seconds in which they are left to the others
FULL = 0.25  # seconds until it is tried again, where files run out
TELL = 60.0  # seconds between two times that this is said
SPARE = 512  # files that are kept for what users ask for

FULL_NOW = (
    "no more users are taken in until others leave: who comes waits, and who is in is served with the files that are "
    "left; raise the limit of open files (ulimit -Hn) or start more workers"
)

log = structlog.get_logger()


class Door:
    """`meet` has one user more, on the event loop, and does not wait. `share`: of those that several workers have.
    `spare`: files that users do not get, a quarter of all at most."""

    def __init__(
        self,
        sock: socket.socket,
        meet: Callable[[socket.socket], None],
        share: Share | None = None,
        spare: int = SPARE,
    ) -> None:
        sock.setblocking(False)
        self._sock, self._meet, self._share = sock, meet, share
        self._waiting = select.poll()
        self._waiting.register(sock, select.POLLIN)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._last = files - min(spare, files // 4)  # the number of a file that is no user's any more
        self._pausing: asyncio.TimerHandle | None = None
        self._full, self._told = False, -inf  # when that was said

    def open(self) -> None:
        asyncio.get_running_loop().add_reader(self._sock, self._take)

    @property
    def pausing(self) -> bool:
        """Whether users are left to others at this moment."""
        return self._pausing is not None

    def close(self) -> None:
        """Who waits by now waits for somebody else."""
        if self._pausing is not None:
            self._pausing.cancel()
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _take(self) -> None:
        pause, loop = FULL if self._is_full() else self._take_in(), asyncio.get_running_loop()
        if pause:
            loop.remove_reader(self._sock)
            self._pausing = loop.call_later(pause, self._resume)

    def _take_in(self) -> float:
        """As many as there is room for; seconds until there may be more."""
        room = AT_ONCE if self._share is None else self._share.room(time.monotonic())
        taken = 0
        try:
            while taken < min(room, AT_ONCE) and not self._full:
                taken += self._accept()
        except BlockingIOError:
            pass
        except OSError as error:
            self._fill(str(error))
        if self._share is not None:
            self._share.took(taken)
        return FULL if self._full else 0.0 if room else PAUSE

    def _accept(self) -> bool:
        try:
            user, _ = self._sock.accept()
        except ConnectionError:
            return False  # it is gone again
        user.setblocking(False)
        if user.fileno() >= self._last:
            self._fill("hardly any files are left")
        self._meet(user)
        return True

    def _resume(self) -> None:
        self._pausing = None
        if self._share is not None and not self._waiting.poll(0):
            self._share.nobody_waits()
        self.open()

    def _fill(self, why: str) -> None:
        self._full, now = True, time.monotonic()
        if now - self._told >= TELL:
            self._told = now
            log.error(FULL_NOW, error=why, users_up_to_file=self._last)

    def _is_full(self) -> bool:
        """Whether it still is: it becomes so when somebody is taken in."""
        if self._full:
            with suppress(OSError):
                free = os.dup(self._sock.fileno())  # the lowest number that is free
                os.close(free)
                self._full = free >= self._last
        return self._full
