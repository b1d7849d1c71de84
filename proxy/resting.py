"""Whether an open request waits for its user, or for its side. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable


class Resting:
    """A request rests while its user is to send more of it, and once its answer has begun: however long it is open
    then, its side keeps nobody waiting. `tell` hears when it changes; at first a request does not rest."""

    __slots__ = ("_begun", "_over", "_tell", "_told")

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell = tell
        self._begun = self._over = self._told = False

    def sends(self, sends: bool) -> None:
        """Whether it is for the user to send, and nothing holds him up."""
        self._rest(sends or self._begun)

    def begins(self) -> None:
        """The user gets the beginning of the answer."""
        self._begun = True
        self._rest(True)

    def over(self) -> None:
        """The request is about to be closed; who is still listened to for its user's leaving says no more of it."""
        self._rest(False)
        self._over = True

    def _rest(self, rests: bool) -> None:
        if rests is not self._told and not self._over:
            self._told = rests
            self._tell(rests)
