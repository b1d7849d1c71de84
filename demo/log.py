"""What users asked and met, written down by themselves. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from demo.promises import Create


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was told of a failure, and is asked again: what it was, and the error that it was told."""

    user: str
    method: str
    what: str
    told: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What users saw: reads can be asked again without harm, writes cannot."""

    reads: int = 0
    writes: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def failed_reads(self) -> int:
        return sum(failure.method == "GET" for failure in self.failures)

    @property
    def failed_writes(self) -> int:
        return len(self.failures) - self.failed_reads

    @property
    def users_hurt(self) -> int:
        return len({failure.user for failure in self.failures})

    def __sub__(self, earlier: Seen) -> Seen:
        failures = self.failures[len(earlier.failures) :]
        return Seen(self.reads - earlier.reads, self.writes - earlier.writes, failures)


@dataclass
class Log:
    """What everybody asked and met. `failures` were asked again; `wrong` are answers that must not be."""

    asked: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    writes: int = 0
    failures: list[Failure] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    creates: list[Create] = field(default_factory=list)
    delivered: set[str] = field(default_factory=set)  # what contacts wrote, and a webhook was told of
    replayed: int = 0  # creates that were done already, and nobody had heard of it
    late: int = 0  # refreshes that could be asked again only when it was too late for it
    answered: int = 0  # without failures
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def seen(self) -> Seen:
        return Seen(self.reads, self.writes, tuple(self.failures))

    @property
    def words(self) -> str:
        again = sum(1 for create in self.creates if create.failures)
        met = Counter((failure.what, failure.told) for failure in self.failures)
        failures = "".join(f"\n  {n} x {what}: {told}" for (what, told), n in sorted(met.items()))
        return (
            f"{self.asked.total()} requests: {dict(self.asked)}\n"
            f"{len(self.creates)} creates, {again} of them asked again, {self.replayed} of these done already\n"
            f"{len(self.delivered)} messages from outside\n"
            f"{self.late} refreshes too late, {len(self.wrong)} wrong answers\n"
            f"{len(self.failures)} failures:{failures}"
        )
