"""Whether an open request waits for its user, or for its side."""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.alarm import Alarm


class Resting:
    """A request rests while its user is to send more of it, or takes no more of its answer, and while the answer flows:
    however long it is open then, its side keeps nobody waiting.

    An answer flows once it has gone on for `patience` seconds, until it pauses for longer: one that has just begun may
    be all that its side will ever say. `tell` hears when it changes; at first a request does not rest.
    """

    __slots__ = ("_alarm", "_begun_at", "_flows", "_full", "_over", "_patience", "_sends", "_tell", "_told")

    def __init__(self, tell: Callable[[bool], None], patience: float) -> None:
        self._tell, self._patience = tell, patience
        self._sends = self._full = self._flows = self._over = self._told = False
        self._begun_at: float | None = None
        self._alarm: Alarm | None = None  # of answers that flow, which are few

    def sends(self, sends: bool) -> None:
        """Whether it is for the user to send, and nothing holds him up."""
        self._sends = sends
        self._rest()

    def gets(self, *, full: bool) -> None:
        """The user gets a piece of the answer; `full`: and takes no more for now."""
        now, self._full = time.monotonic(), full
        if self._begun_at is None:
            self._begun_at = now
        elif now - self._begun_at >= self._patience and not self._over:
            self._flows = True
            self._alarm = self._alarm or Alarm(self._pauses)
            self._alarm.within(self._patience)
        self._rest()

    def goes_on(self) -> None:
        """The user takes more of the answer."""
        self._full = False
        self._rest()

    def over(self) -> None:
        """The request is about to be closed; who is still listened to for its user's leaving says no more of it."""
        self._sends = self._full = self._flows = False
        self._rest()
        self._over = True
        if self._alarm is not None:
            self._alarm.close()

    def _pauses(self) -> None:
        self._flows = False
        self._rest()

    def _rest(self) -> None:
        rests = self._sends or self._full or self._flows
        if rests is not self._told and not self._over:
            self._told = rests
            self._tell(rests)
