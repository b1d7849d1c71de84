"""What several workers have counted, added up: Prometheus' text in, Prometheus' text out. No I/O.

Counters and histograms are sums. So are gauges that count things (connections, tunnels, tasks); those that say a state
are not: each has its rule in `STATES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Rule = Callable[[float, float], float]

# A flag is the newest that any worker has heard of; something works only if it works on every worker.
STATES: dict[str, Rule] = {
    "strangler_share": max,
    "strangler_shadow_share": max,
    "strangler_shadow_factor": min,
    "strangler_shadow_yielding": max,
    "strangler_parity_bound": max,
    "strangler_tripped": max,
    "strangler_verdict": max,
    "strangler_store_connected": min,
    "strangler_rollback_unproved": max,
    "strangler_unleash_connected": min,
    "strangler_unleash_refused": max,
    "strangler_native_ready": min,
    "strangler_subject_concerns": max,
    "strangler_upstream_up": min,
    "strangler_webhook_told_timestamp_seconds": max,  # one worker tells, for all
    "process_start_time_seconds": min,
    "process_open_fds": max,  # against a limit that is each process's own
    "process_max_fds": min,
}


@dataclass(slots=True)
class _Family:
    head: list[str] = field(default_factory=list)
    kind: str = ""
    lines: dict[str, str] = field(default_factory=dict)  # the number by the name and labels before it


def added(expositions: Iterable[bytes]) -> bytes:
    """One exposition of them all. A series that only some have is theirs."""
    families: dict[str, _Family] = {}
    for exposition in expositions:
        _add(families, exposition.decode())
    return _text(families.values())


def kept(exposition: bytes) -> bytes:
    """What of a worker's exposition outlives it: its counts, and of these the ones that are not 0."""
    families: dict[str, _Family] = {}
    _add(families, exposition.decode())
    return _text(_without_zeros(family) for family in families.values() if family.kind != "gauge")


def _add(families: dict[str, _Family], text: str) -> None:
    family, lines = _Family(), dict[str, str]()
    rule: Rule = _sum
    for line in text.split("\n"):
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            family = families.setdefault(name, _Family())
            lines, rule = family.lines, STATES.get(name, _sum)
            if len(family.head) < 2:
                family.head.append(line)
            if word == "TYPE":
                family.kind = rest
        elif line:
            series, _, number = line.rpartition(" ")
            before = lines.get(series)
            lines[series] = number if before is None else repr(rule(float(before), float(number)))


def _sum(one: float, other: float) -> float:
    return one + other


def _without_zeros(family: _Family) -> _Family:
    return _Family(family.head, family.kind, {series: n for series, n in family.lines.items() if float(n)})


def _text(families: Iterable[_Family]) -> bytes:
    parts: list[str] = []
    for family in families:
        parts += family.head
        parts += [f"{series} {number}" for series, number in family.lines.items()]
    return "\n".join([*parts, ""]).encode()
