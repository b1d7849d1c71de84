"""What the operators' port tells, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flags.audit import Record
from flags.change import Change
from flags.flag import Flag
from flags.rollback import Verdict
from proxy.churn import Concern

Told = dict[str, Any]


def flag(flag: Flag) -> Told:
    return {
        "share": flag.native,
        "shadow": flag.shadow,
        "byRules": flag.by_rules,
        "generation": flag.generation,
        "trip": flag.trip and asdict(flag.trip),
    }


def verdict(verdict: Verdict | None) -> Told | None:
    return None if verdict is None else {"kind": verdict.kind.value, "words": verdict.words}


def concern(concern: Concern) -> Told:
    return asdict(concern)


def change(change: Change) -> Told:
    return {
        "route": change.route,
        "words": change.words,
        "reach": change.reach.name.lower(),
        "generation": change.after.generation,
    }


def record(record: Record) -> Told:
    before, after = record.in_force
    return {
        "id": record.id,
        "at": record.note.at,
        "route": record.route,
        "what": record.what.value,
        "words": record.words,
        "who": record.note.who,
        "why": record.note.why,
        "before": {**flag(record.before), "inForce": before},
        "after": {**flag(record.after), "inForce": after},
    }
