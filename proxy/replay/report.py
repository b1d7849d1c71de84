"""What a replay has found, for programs and for people, and whether that will do. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flags.ramp import span
from proxy.replay.question import Reason
from proxy.replay.tally import SIDES, OfRoute, OfSide, Tally
from proxy.show import columns
from shadow import parity
from shadow.mismatch import Mismatch
from shadow.result import Outcome

Told = dict[str, Any]

SHOWN: Final = 50  # mismatches in the text; all of them are in the JSON
_WHY: Final[Mapping[Reason, str]] = {
    Reason.UNSAFE: "it changes something, so nobody asks it twice",
    Reason.NO_ROUTE: "no route of the configuration matches it",
    Reason.OTHER_ROUTE: "it is of another route than --route names",
    Reason.OTHER_HOST: "it went to another host than --host names",
    Reason.SPARED: "legacy is not asked its route but by users (shadow_legacy: false)",
    Reason.NOT_HTTP: "it is no request over HTTP",
    Reason.SECRET: "its address has what may open a door; --send-credentials sends it",
    Reason.REDACTED: "it was redacted, so nobody knows what was asked",
    Reason.WITHHELD: "of headers that it had the names alone are kept; --header tells their values",
    Reason.MALFORMED: "it cannot be read",
    Reason.TOO_LONG: "it is too long to be read",
}


def told(tally: Tally, mismatches: Sequence[Mismatch], seconds: float, stopped: str | None) -> Told:
    return {
        "asked": tally.asked,
        "compared": tally.compared,
        "unproved": tally.unproved,
        "seconds": round(seconds, 1),
        "stopped": stopped,
        "skipped": {reason.value: tally.skipped[reason] for reason in Reason if tally.skipped[reason]},
        "unreadable": tally.places,
        "routes": [_route(name, tally.routes[name]) for name in sorted(tally.routes)],
        "mismatches": [_mismatch(each) for each in sorted(mismatches, key=lambda each: (-each.count, each.id))],
    }


def will_do(tally: Tally, stopped: str | None, fail_over: float) -> bool:
    """Whether all was asked, most of it could be read, something of each route could be compared, and no more speaks
    against native than may."""
    asked = stopped is None and tally.unreadable <= tally.asked
    return asked and tally.compared > 0 and not tally.unproved and tally.against <= fail_over


def text(told: Told) -> str:
    """All of it in words, of what `told` gives."""
    parts = [_head(told)]
    if told["routes"]:
        parts.append(columns([_COLUMNS, *map(_row, told["routes"])]))
    parts += filter(None, ["\n".join(_failures(told["routes"])), *_mismatches(told["mismatches"])])
    if told["skipped"]:
        parts.append(_skipped(told))
    return "\n\n".join(parts)


def progress(tally: Tally, read: float | None, seconds: float) -> str:
    """How far it is, on one line. `read`: how much of the file, of 1."""
    line = f"{tally.asked} asked, {tally.mismatched} mismatched"
    if read is None:
        return f"{line}, {span(seconds)}"
    left = f", {span(seconds * (1 - read) / read)} left" if 0.0 < read < 1.0 and tally.asked else ""
    return f"{line}, {read:.0%}{left}"


_SURE: Final = f"≤ ({1 - parity.ALPHA:.0%})"
_COLUMNS: Final = (
    "ROUTE", "ASKED", "MATCHED", "IGNORED", "MISMATCHED", _SURE, "LEGACY P50, P95", "NATIVE P50, P95", "OTHER",
)  # fmt: skip
_OWN: Final = (Outcome.MATCHED, Outcome.IGNORED, Outcome.MISMATCHED)


def _head(told: Told) -> str:
    line = f"{told['asked']} asked of both sides in {span(told['seconds'])}, {told['compared']} compared"
    if not told["compared"]:
        line += ": that proves nothing"
    elif told["unproved"]:
        line += f", but nothing of {', '.join(told['unproved'])}: of that it proves nothing"
    return f"{line}. It was not all: {told['stopped']}." if told["stopped"] else f"{line}."


def _route(name: str, route: OfRoute) -> Told:
    return {
        "route": name,
        "asked": route.asked,
        "bound": round(_bound(route), 6),
        "outcomes": {outcome.value: route.outcomes[outcome.value] for outcome in Outcome},
        "failed_alone": {side: route.failed_alone[side] for side in SIDES},
        "uncompared": dict(sorted(route.uncompared.items())),
        "unjournalled": route.unjournalled,
        "rules": dict(sorted(route.covered.items())),
        "sides": {side: _side(route.sides[side]) for side in SIDES},
    }


def _bound(route: OfRoute) -> float:
    """What part of requests like these are mismatches at most, with 99 % confidence."""
    return parity.bound(route.parity.compared, route.parity.against)


def _side(side: OfSide) -> Told:
    milliseconds = {"p50": side.milliseconds(0.5), "p95": side.milliseconds(0.95)}
    return {"milliseconds": milliseconds, "failures": dict(sorted(side.failures.items()))}


def _mismatch(found: Mismatch) -> Told:
    sample = found.samples[0] if found.samples else None
    return {
        "id": found.id,
        "route": found.route,
        "field": found.field,
        "kind": found.kind,
        "confirmed": found.confirmed,
        "count": found.count,
        "example": sample and {"method": sample.method, "target": sample.target, "path": sample.path},
    }


def _row(route: Told) -> Sequence[str]:
    outcomes = route["outcomes"]
    other = [f"{count} {word}" for word, count in outcomes.items() if count and word not in _NAMED]
    other += [f"{count} of them failed by {side} alone" for side, count in route["failed_alone"].items() if count]
    other += [f"{count} not compared ({word})" for word, count in route["uncompared"].items()]
    other += [f"{route['unjournalled']} not put on the list (journal)"] if route["unjournalled"] else []
    own = [str(outcomes[outcome.value]) for outcome in _OWN]
    sides = map(_span, route["sides"].values())
    return route["route"], str(route["asked"]), *own, parity.rate(route["bound"]), *sides, ", ".join(other) or "-"


_NAMED: Final = frozenset(outcome.value for outcome in _OWN)


def _span(side: Told) -> str:
    p50, p95 = side["milliseconds"]["p50"], side["milliseconds"]["p95"]
    return "-" if p50 is None else f"{p50:.3g}, {p95:.3g} ms"


def _failures(routes: Sequence[Told]) -> Iterator[str]:
    for route in routes:
        for side, told in route["sides"].items():
            if told["failures"]:
                failures = ", ".join(f"{count} {kind}" for kind, count in told["failures"].items())
                yield f"{side} failed on {route['route']}: {failures}."


def _mismatches(found: Sequence[Told]) -> Iterator[str]:
    for confirmed, words in ((True, "confirmed by asking both again"), (False, "seen, but not confirmed")):
        rows = [_found(each) for each in found if each["confirmed"] is confirmed]
        if rows:
            more = f"; the first {SHOWN} of {len(rows)}, all of them by --json" if len(rows) > SHOWN else ""
            yield f"Mismatches {words}{more}:\n{columns([_FOUND, *rows[:SHOWN]])}"


_FOUND: Final = ("ROUTE", "FIELD", "KIND", "REQUESTS", "SUCH AS")


def _found(told: Told) -> Sequence[str]:
    return told["route"], told["field"] or "(whole)", told["kind"], str(told["count"]), _example(told)


def _example(found: Told) -> str:
    example = found["example"]
    return f"{example['method']} {example['target']}" if example else "-"


def _skipped(told: Told) -> str:
    rows = [(str(count), _WHY[Reason(reason)]) for reason, count in told["skipped"].items()]
    lines = [columns([("SKIPPED", "BECAUSE"), *rows])]
    if told["unreadable"]:
        lines.append(f"The first that cannot be read: {', '.join(map(str, told['unreadable']))}.")
    return "\n".join(lines)
