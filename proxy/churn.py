"""Do subjects tell users apart, and stay with them? What each source has yielded lately, in a bounded sample.

A value that is another one at each request throws its user from side to side; one that many users share moves them all
at once, and makes one user of them where users are counted. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from proxy.subject import ADDRESS, Source

MOST = 512  # subjects of a source that are remembered
KEPT = 10  # minutes that one sample lasts
BACK = 3  # minutes later a user has had the time to come again, and a sample counts in place of the one before it
ENOUGH = 50  # subjects below which nothing is said of their coming back
ONCE = 0.75  # of them came once: the values do not stay
APART = 2  # … if so many of those came from one address, on average: else they are just that many new users
MANY = 500  # requests below which nothing is said of who asks most
HEAVY = 1 / 3  # of all requests are one subject's: many share it


@dataclass(frozen=True, slots=True)
class Told:
    """What a sample tells: of its `subjects` that have had time to come back `once` came but once, from so many
    `addresses`; and of all `requests`, `heaviest` are those of the subject that asked most."""

    subjects: int = 0
    once: int = 0
    addresses: int = 0
    requests: int = 0
    heaviest: int = 0


@dataclass(frozen=True, slots=True)
class Concern:
    """What is wrong with the subjects of a source, and what to do."""

    source: str
    kind: Literal["churn", "collapse"]
    words: str


def concern(source: Source, told: Told) -> Concern | None:
    if told.requests >= MANY and told.heaviest >= HEAVY * told.requests:
        return Concern(str(source), "collapse", _collapses(source, told))
    if told.subjects >= ENOUGH and told.once >= ONCE * told.subjects and told.once >= APART * told.addresses:
        return Concern(str(source), "churn", _churns(source, told))
    return None


def _collapses(source: Source, told: Told) -> str:
    seen = f"{100 * told.heaviest / told.requests:.0f} % of {told.requests} requests"
    means = "go to one side together, and count as one user where evidence is weighed"
    if source == ADDRESS:
        return (
            f"{seen} come from one address, so all who are behind it {means}. If that is a balancer, add its network "
            "to trusted_proxies; if it is one caller, choose judge: threshold for its routes"
        )
    return (
        f"{seen} have one value, so all who share it {means}. Put ahead of it, in subject, what tells them apart; if "
        "they are one caller, choose judge: threshold for its routes"
    )


def _churns(source: Source, told: Told) -> str:
    return (
        f"{told.once} of {told.subjects} values came once and not again, though they came from {told.addresses} "
        f"address{'es' * (told.addresses != 1)}. If it changes with every answer, its users are thrown from side to "
        "side: put ahead of it, in subject, what stays with a user"
    )


class _Seen:
    __slots__ = ("address", "minute", "requests")

    def __init__(self, address: int, minute: int) -> None:
        self.address, self.minute, self.requests = address, minute, 1


class Sample:
    """Subjects of one source: each that is in it with all of its requests, or not at all.

    Of more than there is room for those stay whose marks end in zeros: as good as drawn by lot, and known again. Who
    asked most stays too. `minutes`: how long it lasts.
    """

    __slots__ = ("_heaviest", "_mask", "_requests", "_seen", "minutes")

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._mask, self._heaviest, self._requests = 0, -1, 0
        self.minutes = 0

    def saw(self, subject: int, address: str) -> None:
        """A request of the subject with this mark, from this address."""
        self._requests += 1
        if subject & self._mask and subject != self._heaviest:
            return
        seen = self._seen.get(subject)
        if seen is not None:
            seen.requests += 1
            return
        self._seen[subject] = _Seen(hash(address), self.minutes)
        if len(self._seen) > MOST:
            self._thin_out()

    def told(self) -> Told:
        had_time = [seen for seen in self._seen.values() if self.minutes - seen.minute >= BACK]
        once = [seen for seen in had_time if seen.requests == 1]
        addresses = len({seen.address for seen in once})
        heaviest = max((seen.requests for seen in self._seen.values()), default=0)
        return Told(len(had_time), len(once), addresses, self._requests, heaviest)

    def _thin_out(self) -> None:
        self._heaviest = max(self._seen, key=lambda subject: self._seen[subject].requests)
        while len(self._seen) > MOST // 2:
            self._mask = self._mask << 1 | 1
            kept = (s for s in self._seen if not s & self._mask or s == self._heaviest)
            self._seen = {subject: self._seen[subject] for subject in kept}


class Watch:
    """A sample for each source, begun anew every few minutes; `sources` are those of `Subject`, in its order."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._samples = self._before = [Sample() for _ in sources]

    def saw(self, place: int, subject: int, address: str) -> None:
        """A request whose subject, of this mark, was found at that place of the sources. Called on the request path."""
        self._samples[place].saw(subject, address)

    def turn(self) -> None:
        """A minute is over."""
        for sample in self._samples:
            sample.minutes += 1
        if self._samples[0].minutes >= KEPT:
            self._before, self._samples = self._samples, [Sample() for _ in self._sources]

    def concerns(self) -> list[Concern]:
        samples = self._samples if self._samples[0].minutes >= BACK else self._before
        found = [concern(source, sample.told()) for source, sample in zip(self._sources, samples, strict=True)]
        return [each for each in found if each is not None]
