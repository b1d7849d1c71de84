"""How well reports fit what is wrong. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from bench.noise.rules import Reported


def score(found: Sequence[Reported]) -> dict[str, float]:
    """Of some cases. `precision`: of the fields that were reported, those that are wrong. `recall`: of the mutants,
    those of which at least one such field was, `after` so many experiments in the median; `listed`: those of which one
    was at least listed as unconfirmed. `asked`: questions to both sides for each request of a user."""
    told = [field in each.wrong for each in found for field in each.fields]
    mutants = [each for each in found if each.wrong]
    caught = [each for each in mutants if each.wrong & each.fields.keys()]
    first = [min(at for field, at in each.fields.items() if field in each.wrong) for each in caught]
    return {
        "cases": len(found),
        "with a false report": sum(1 for each in found if each.fields.keys() - each.wrong),
        "reported": len(told),
        "false": told.count(False),
        "precision": round(told.count(True) / len(told), 4) if told else 1.0,
        "mutants": len(mutants),
        "found": len(caught),
        "listed": sum(1 for each in mutants if each.wrong & (each.fields.keys() | each.unconfirmed)),
        "recall": round(len(caught) / len(mutants), 4) if mutants else 1.0,
        "after": median(first) if first else 0.0,
        "asked": round(fmean(each.asked for each in found), 3),
    }
