"""What can go wrong between the router and a side.

StranglerError
├── ClientLeft                  the user's connection is gone, or at its end; nobody is left to answer
│   └── ClientStalled  408      the user began a body and sends no more of it
└── SideFailed                  a side gave no answer, or not all of it
    ├── Refused        502      no connection
    ├── Broken         502      the connection ended, or what came was not HTTP
    │   ├── Unasked             it ended before a byte of the request was written
    │   └── Crumbled            the answer came in too many small pieces, and was broken off here
    ├── NoAnswer       504      nothing came in time
    │   └── NoConnection        not even a connection
    ├── Saturated      503      every connection is busy and none came free in time
    ├── Errored        502      it answered 5xx, and the answer was held back
    └── Raised         500      an app in this process raised an exception
"""

from __future__ import annotations

from typing import ClassVar


class StranglerError(Exception):
    """The root of the proxy's exceptions."""


class ClientLeft(StranglerError):
    """The user's connection ended before the answer did. `told`: the status by which it said why, as to one whose body
    is no HTTP; 0 is nothing."""

    def __init__(self, told: int = 0) -> None:
        super().__init__()
        self.told = told


class ClientStalled(ClientLeft):
    """The user keeps a side waiting for the rest of a request."""

    kind: ClassVar[str] = "stalled"
    status: ClassVar[int] = 408


class SideFailed(StranglerError):
    """A side did not answer.

    `kind` is the metric label, `status` what the user is told when no other side is left to ask. `reached` is False
    when not a byte of the request got to the side, so that asking elsewhere repeats nothing.
    """

    kind: ClassVar[str]
    status: ClassVar[int]
    reached: ClassVar[bool] = True


class Refused(SideFailed):
    kind, status, reached = "refused", 502, False


class Broken(SideFailed):
    kind, status = "broken", 502


class Unasked(Broken):
    reached = False


class Crumbled(Broken):
    """Only whoever may go without an answer breaks one off for that."""


def unreadable(error: Exception) -> Broken:
    """What has failed where a parser gave an answer up: the answer, or whoever would have no more of it."""
    given_up = error.__context__
    return given_up if isinstance(given_up, Crumbled) else Broken(f"its answer is not HTTP: {error}")


class NoAnswer(SideFailed):
    kind, status = "timeout", 504


class NoConnection(NoAnswer):
    reached = False


class Saturated(SideFailed):
    kind, status, reached = "saturated", 503, False


class Errored(SideFailed):
    kind, status = "5xx", 502


class Raised(SideFailed):
    kind, status = "exception", 500
