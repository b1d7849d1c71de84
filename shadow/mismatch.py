"""What the journal keeps of confirmed mismatches: one record for each route, field and kind, and a few samples. No I/O.

A field is a path with every index as `[*]`: what differs in all elements of a list differs in one way.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from . import redact
from .compare import Difference
from .excerpt import EVERYTHING_HIDDEN, Excerpt, Shown, excerpts
from .paths import field

SAMPLES: Final = 5
NAME: Final = 6  # bytes of an id
MUTED: Final = 7  # days, where nobody says for how long
LONGEST: Final = 30  # days; for longer there are rules in the configuration, which are reviewed
CONDITIONS: Final = frozenset(  # headers of a request that an answer depends on
    {"accept", "accept-language", "if-match", "if-modified-since", "if-none-match", "range", "x-requested-with"}
)
CREDENTIALS: Final = frozenset({"authorization", "cookie"})  # of these only that they were there


class State(enum.Enum):
    OPEN = "open"
    UNCONFIRMED = "unconfirmed"  # it was seen, but not again when both sides were asked once more, or not often enough
    MUTED = "muted"  # somebody knows of it, and wants to hear of it no earlier than then
    RESOLVED = "resolved"  # until it is seen again


@dataclass(frozen=True, slots=True)
class Finding:
    """One mismatch as it was found, confirmed or not. What is in it is raw, and kept by nobody."""

    at: float
    route: str
    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    has_body: bool
    request_id: str
    control_side: str
    candidate_side: str
    control_status: int
    candidate_status: int
    differences: tuple[Difference, ...]
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that showed the mismatch, and what of both answers may be kept.

    `credentials`: the headers by which the user was known. `repeatable`: the request is here as it was asked, but for
    them.
    """

    at: float
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    credentials: tuple[str, ...]
    repeatable: bool
    request_id: str
    path: str
    control_side: str
    candidate_side: str
    control_status: int
    candidate_status: int
    control: Excerpt
    candidate: Excerpt


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody made of a mismatch: it is muted `until` then, or resolved."""

    at: float
    who: str
    why: str
    state: State
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """`count`: the requests that showed it. `reopened`: when it was first seen again after it was resolved."""

    id: str
    route: str
    field: str
    kind: str
    count: int
    first: float
    last: float
    act: Act | None = None
    reopened: float | None = None
    samples: tuple[Sample, ...] = ()
    confirmed: bool = True

    def state(self, now: float) -> State:
        over = self.act is not None and self.act.state is State.MUTED and now >= (self.act.until or 0.0)
        if self.act is None or self.reopened is not None or over:
            return State.OPEN if self.confirmed else State.UNCONFIRMED
        return self.act.state


@dataclass(frozen=True, slots=True)
class Seen:
    """What one exchange tells of one mismatch."""

    id: str
    route: str
    field: str
    kind: str
    sample: Sample
    confirmed: bool = True


def seen(finding: Finding, salt: bytes, shown: Shown = EVERYTHING_HIDDEN) -> Iterator[Seen]:
    """Each field and kind that the answers differ in, once, by the first place where they do."""
    request = _request(finding)
    known: set[tuple[str, str]] = set()
    for difference in finding.differences:
        place = field(difference.path)
        kind = str(difference.kind.value)
        if (place, kind) in known:
            continue
        known.add((place, kind))
        name, (control, candidate) = redact.line(place), excerpts(difference, salt, shown)
        sample = Sample(**request, path=redact.line(difference.path), control=control, candidate=candidate)
        id = identity(finding.route, name, kind, confirmed=finding.confirmed)
        yield Seen(id, finding.route, name, kind, sample, finding.confirmed)


def identity(route: str, field: str, kind: str, *, confirmed: bool = True) -> str:
    """What a mismatch goes by: the same on every worker, and after a restart."""
    what = f"{route}\n{field}\n{kind}" + ("" if confirmed else "\nunconfirmed")
    return hashlib.blake2b(what.encode(), digest_size=NAME).hexdigest()


def _request(finding: Finding) -> dict[str, Any]:
    path, _, query = finding.target.partition("?")
    target = redact.target(path, query)
    given = [(name.lower(), value) for name, value in finding.headers]
    headers = tuple((name, redact.line(value)) for name, value in given if name in CONDITIONS)
    as_asked = target == finding.target and headers == tuple(each for each in given if each[0] in CONDITIONS)
    as_asked = as_asked and target.isascii()  # of other bytes nobody knows which characters were meant
    return {
        "at": finding.at,
        "method": finding.method,
        "target": target,
        "headers": headers,
        "credentials": tuple(sorted(CREDENTIALS & {name for name, _ in given})),
        "repeatable": as_asked and not finding.has_body,
        "request_id": redact.line(finding.request_id),
        "control_side": finding.control_side,
        "candidate_side": finding.candidate_side,
        "control_status": finding.control_status,
        "candidate_status": finding.candidate_status,
    }


def encode_sample(sample: Sample) -> str:
    return json.dumps(asdict(sample), ensure_ascii=False, separators=(",", ":"))


def decode_sample(text: str) -> Sample:
    """A ValueError, KeyError or TypeError if another version of this program wrote it differently."""
    told = json.loads(text)
    for name in ("control", "candidate"):
        told[name] = Excerpt(**told[name])
    told["headers"] = tuple((str(name), str(value)) for name, value in told["headers"])
    return Sample(**{**told, "credentials": tuple(told["credentials"])})


def encode_act(act: Act) -> str:
    return json.dumps({**asdict(act), "state": act.state.value}, ensure_ascii=False, separators=(",", ":"))


def decode_act(text: str) -> Act:
    told = json.loads(text)
    return Act(**{**told, "state": State(told["state"])})
