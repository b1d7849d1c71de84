"""What the journal keeps of confirmed mismatches: one record for each route, field and kind, and a few samples. No I/O.

A field is a path with every index as `[*]`: what differs in all elements of a list differs in one way.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from . import redact
from .compare import Difference
from .excerpt import EVERYTHING_HIDDEN, Excerpt, Shown, digest, excerpts
from .paths import field as place_of
from .stakes import Often

SAMPLES: Final = 5
NAME: Final = 6  # bytes of an id
MUTED: Final = 7  # days, where nobody says for how long
LONGEST: Final = 30  # days; for longer there are rules in the configuration, which are reviewed
OTHERS: Final = 16  # headers of one request that are kept by their names
CONDITIONS: Final = frozenset(  # headers of a request that an answer depends on, and by which nobody is known
    [
        *("accept", "accept-encoding", "accept-language", "range", "user-agent", "x-requested-with"),
        *("if-match", "if-modified-since", "if-none-match"),
    ]
)
SCHEME: Final = "x-forwarded-proto"
_SCHEMES: Final = re.compile("https?(?:, ?https?){0,9}")
# Of the connection, of a body that is not kept, of who came by which way, of this one request, of every browser: a test
# that wanted all of them to be told would be of no use.
_OF_THE_WAY: Final = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|x-strangler-.*"
    r"|via|forwarded|x-forwarded-(?:by|for|host|port|proto|server)|x-(?:original|envoy|azure)-.*"
    r"|x-scheme|x-real-ip|(?:true-|x-|x-cluster-)?client-ip"
    r"|cf-(?:connecting-.*|ray|visitor)|cdn-loop|x-varnish"
    r"|x-(?:request|correlation)-id|x-(?:request|queue)-start|traceparent|tracestate|baggage|sentry-trace|b3|x-b3-.*"
    r"|x-datadog-.*|x-amzn-trace-id|x-amz-cf-id|x-cloud-trace-context"
    r"|sec-.*|dnt|priority|referer|cache-control|pragma|upgrade-insecure-requests"
)
_NAME: Final = re.compile("(?!x-strangler-)[a-z0-9_-]{1,40}")  # of a header that may be kept by it


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
    often: Mapping[tuple[str, str], Often] = field(default_factory=dict)  # by place and kind


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that showed the mismatch, and what of both answers may be kept.

    Of some headers the names alone are here: `credentials`, by which the user was known, and `others`. `repeatable`:
    whoever knows their values can ask what was asked.
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
    often: Often | None = None
    others: tuple[str, ...] = ()


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
        place = place_of(difference.path)
        kind = str(difference.kind.value)
        if (place, kind) in known:
            continue
        known.add((place, kind))
        name, (control, candidate) = _name(place, salt), excerpts(difference, salt, shown)
        path, often = redact.place(difference.path), finding.often.get((place, kind))
        sample = Sample(**request, path=path, control=control, candidate=candidate, often=often)
        id = identity(finding.route, name, kind, confirmed=finding.confirmed)
        yield Seen(id, finding.route, name, kind, sample, finding.confirmed)


def _name(place: str, salt: bytes) -> str:
    """A field as it may be kept. What is hidden of two must not make them one."""
    told = redact.place(place)
    return told if told == place else f"{told}#{digest(place, salt)}"


def identity(route: str, field: str, kind: str, *, confirmed: bool = True) -> str:
    """What a mismatch goes by: the same on every worker, and after a restart."""
    what = f"{route}\n{field}\n{kind}" + ("" if confirmed else "\nunconfirmed")
    return hashlib.blake2b(what.encode(), digest_size=NAME).hexdigest()


def _request(finding: Finding) -> dict[str, Any]:
    path, _, query = finding.target.partition("?")
    target = redact.target(path, query)
    given = [(name.lower(), value) for name, value in finding.headers]
    headers = tuple(each for each in given if _may_be_seen(*each))
    names = [each[0] for each in given if each not in headers and not _is_credential(each[0])]
    others = [name for name in names if not _OF_THE_WAY.fullmatch(name)]
    told = [name for name in sorted(set(others))[:OTHERS] if _NAME.fullmatch(name) and redact.line(name) == name]
    as_asked = target == finding.target and target.isascii()  # of other bytes nobody knows which characters were meant
    return {
        "at": finding.at,
        "method": finding.method,
        "target": target,
        "headers": headers,
        "credentials": tuple(sorted({name for name, _ in given if _is_credential(name)})),
        "others": tuple(told),
        "repeatable": as_asked and len(told) == len(others) and not finding.has_body,
        "request_id": redact.line(finding.request_id),
        "control_side": finding.control_side,
        "candidate_side": finding.candidate_side,
        "control_status": finding.control_status,
        "candidate_status": finding.candidate_status,
    }


def _may_be_seen(header: str, value: str) -> bool:
    if header == SCHEME:
        return _SCHEMES.fullmatch(value) is not None
    return header in CONDITIONS and redact.line(value) == value


def _is_credential(header: str) -> bool:
    return _NAME.fullmatch(header) is not None and redact.tells_a_secret(header)


def encode_sample(sample: Sample) -> str:
    return json.dumps(asdict(sample), ensure_ascii=False, separators=(",", ":"))


def decode_sample(text: str) -> Sample:
    """A ValueError, KeyError or TypeError if another version of this program wrote it differently."""
    told = json.loads(text)
    for name in ("control", "candidate"):
        told[name] = Excerpt(**told[name])
    if told.get("often") is not None:
        told["often"] = Often(**told["often"])
    told["headers"] = tuple((str(name), str(value)) for name, value in told["headers"])
    names = {each: tuple(told.get(each, ())) for each in ("credentials", "others")}  # others, since a later version
    return Sample(**{**told, **names})


def encode_act(act: Act) -> str:
    return json.dumps({**asdict(act), "state": act.state.value}, ensure_ascii=False, separators=(",", ":"))


def decode_act(text: str) -> Act:
    told = json.loads(text)
    return Act(**{**told, "state": State(told["state"])})
