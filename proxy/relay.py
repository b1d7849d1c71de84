"""Below ASGI: what legacy answers and nobody compares goes from connection to connection, without a task of its own.

The decision, the forwarding headers, the pool and the counting are those of the ASGI way. The answer loses less: its
reason phrase, its interim answers and its trailers pass, for which ASGI has no place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from flags.decide import Decision
from flags.flag import Side
from proxy.access import Record
from proxy.exchange import Exchange
from proxy.request import Request
from proxy.resting import Resting
from proxy.upstream import Upstream

if TYPE_CHECKING:
    from proxy.relayed import Relayed


@dataclass(slots=True)
class Asked:
    """A request that is decided. `version`: by which the user asked."""

    request: Request
    version: str
    target: bytes
    request_id: str
    client: str
    route: str
    decision: Decision


class User(Protocol):
    """The user's connection."""

    @property
    def full(self) -> bool:
        """Whether it takes no more bytes for now; `Relayed.go_on` is called when it does again."""

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def served(self, relayed: Relayed, *, keep: bool) -> None:
        """The answer is written; the connection serves the next request if it is to be kept, else it closes."""

    def reset(self) -> None: ...


class Observer(Protocol):
    def opened(self, route: str, decision: Decision, second: int) -> None: ...

    def resting(self, route: str, decision: Decision, second: int) -> Resting: ...

    def closed(self, exchange: Exchange) -> object: ...


@dataclass(frozen=True, slots=True)
class Relay:
    """`record` hears of each request and its exchange once it is over; without `records_all`, if legacy failed it."""

    legacy: Upstream
    observer: Observer
    record: Record
    records_all: bool

    def takes(self, decision: Decision) -> bool:
        return decision.primary is Side.LEGACY and not decision.shadow
