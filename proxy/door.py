"""Where a worker takes in users from a listening socket that all workers share: its part of them.

An event loop takes all who wait as soon as it hears of them, and so the first to wake has them all: of two workers one
served 59 of 64 connections, and the other's core was idle.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

from proxy.crowd import Share

AT_ONCE = 64  # users that are taken in before others are served
AHEAD = 8  # a worker may have so many parts in one more than another has, and one user in any case
PAUSE = 0.001  # seconds in which they are left to the others
PATIENCE = 0.02  # seconds in which none of those takes any, after which this one does
TELL = 0.25  # seconds between two times that the others are told of who has gone
EXHAUSTED = 0.25  # seconds until it is tried again, where the system has nothing left for one more

log = structlog.get_logger()


class Door:
    """`users`: how many this worker has, `meet` has one more. Both on the event loop, and neither waits."""

    def __init__(
        self,
        sock: socket.socket,
        share: Share,
        users: Callable[[], int],
        meet: Callable[[socket.socket], None],
        patience: float = PATIENCE,
    ) -> None:
        self._sock, self._share, self._users, self._meet, self.patience = sock, share, users, meet, patience
        self._loop = asyncio.get_running_loop()
        self._telling: asyncio.TimerHandle | None = None
        self._pausing: asyncio.TimerHandle | None = None
        self._fewest, self._since = 0, 0.0  # as it was when others were last seen to take any, and when that was
        self._leaving = False  # users to them, as of then
        self._absent: int | None = None  # how few one has that took none in all that time, and is waited for no more

    def open(self) -> None:
        self._pausing = None
        self._loop.add_reader(self._sock, self._take)
        if self._telling is None:
            self._tell()

    @property
    def pausing(self) -> bool:
        """Whether users are left to others at this moment."""
        return self._pausing is not None

    def close(self) -> None:
        """Who waits by now waits for somebody else."""
        for timer in (self._telling, self._pausing):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _take(self) -> None:
        users = self._users()
        room = self._room(users)
        if not room:
            self._pause(PAUSE)
        for _ in range(room):
            try:
                accepted, _ = self._sock.accept()
            except BlockingIOError:
                break
            except ConnectionError:
                continue  # it is gone again
            except OSError as error:
                log.error("no more users can be taken in for now", error=str(error))
                self._pause(EXHAUSTED)
                break
            accepted.setblocking(False)
            self._meet(accepted)
            users += 1
        self._share.has(users)

    def _room(self, users: int) -> int:
        """How many more it may have: no more than its part, unless the others take none."""
        fewest, now = self._share.fewest, self._loop.time()
        room = fewest + max(1, fewest // AHEAD) - users
        if room > 0:
            self._leaving = False
            return min(room, AT_ONCE)
        if fewest == self._absent:
            return AT_ONCE
        self._absent = None
        if not self._leaving or fewest != self._fewest:
            self._leaving, self._fewest, self._since = True, fewest, now
        if now - self._since < self.patience:
            return 0
        self._leaving, self._absent = False, fewest
        return AT_ONCE

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._pausing = self._loop.call_later(seconds, self.open)

    def _tell(self) -> None:
        self._share.has(self._users())
        self._telling = self._loop.call_later(TELL, self._tell)
