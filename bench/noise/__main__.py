"""Precision and recall on the corpus, beside Diffy's rule: `python -m bench.noise [--experiments 250] [--runs 400]`."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

from bench import record
from bench.figures import met, table
from bench.noise.cases import ALONE, AT_RANDOM, BY_RULE, IN_NOISE, MIX, MORE, NOISY, SEED, SELDOMLY, WRONG, cases
from bench.noise.level import simulated
from bench.noise.rules import Reported, diffy, ours
from bench.noise.scores import score

OURS, THEIRS = "ours", "Diffy's"
RULES = {OURS: ours, THEIRS: diffy}
# Those that err at random are told apart: nobody can confirm them.
COUNTED = (ALONE, MIX, WRONG, SELDOMLY, IN_NOISE, MORE, BY_RULE)
ALL, NO_RULES = "all but at random", "of these, all without rules"
LASTING, LONGER = (IN_NOISE, MORE, AT_RANDOM), 10  # what takes time is given so many times as many requests, too
Told = dict[str, Any]
Scores = Mapping[str, Mapping[str, Mapping[str, float]]]  # by group and rule


def main() -> None:
    parser = argparse.ArgumentParser("bench.noise", description=__doc__)
    parser.add_argument("--experiments", type=int, default=250, help="requests of users in each case")
    parser.add_argument("--runs", type=int, default=400, help="of the simulation of false discoveries")
    options = parser.parse_args()
    corpus = list(cases())
    work = [(at, options.experiments) for at in range(len(corpus))]
    work += [(at, LONGER * options.experiments) for at, (group, _) in enumerate(corpus) if group in LASTING]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        level = pool.submit(simulated, options.runs, SEED)
        found = {rule: list(pool.map(partial(carried_out, rule), work)) for rule in RULES}
    groups = grouped([group for group, _ in corpus], LONGER * options.experiments)
    scores = {
        group: {rule: score([found[rule][at] for at in places]) for rule in RULES} for group, places in groups.items()
    }
    false = asdict(level.result())
    targets = targets_of(scores[ALL], false)
    told = [
        {"group": group, "case": case.name, **{rule: _case(found[rule][at]) for rule in RULES}}
        for at, (group, case) in enumerate(corpus)
    ]
    figures = {"targets": targets, "scores": scores, "false discoveries": false, "cases": told}
    kept = record.keep("noise", {"experiments": options.experiments, **figures})
    print(_scores(scores), _faults(told), _level(false), _targets(targets), f"Kept in {kept}", sep="\n\n")


def grouped(groups: Sequence[str], longer: int) -> dict[str, list[int]]:
    """The places of what was carried out: each case of the corpus, by its group, and then those that got more time."""
    named = {name: [at for at, group in enumerate(groups) if group == name] for name in (*COUNTED, AT_RANDOM)}
    lasting = iter(range(len(groups), 2 * len(groups)))
    later = [(group, next(lasting)) for group in groups if group in LASTING]
    named |= {f"{name}, {longer} requests": [at for group, at in later if group == name] for name in LASTING}
    named[ALL] = [at for name in COUNTED for at in named[name]]
    named[NO_RULES] = [at for name in COUNTED if name != BY_RULE for at in named[name]]
    return named


def carried_out(rule: str, work: tuple[int, int]) -> Reported:
    """One case by one rule. The corpus is made anew in each process: what makes noise cannot be handed over."""
    at, experiments = work
    _, case = list(cases())[at]
    return asyncio.run(RULES[rule](case, experiments))


def targets_of(scores: Mapping[str, Mapping[str, float]], false: Told) -> Told:
    better = {
        f"{what}, less Diffy's": met(round(scores[OURS][what] - scores[THEIRS][what], 4), least=0.0)
        for what in ("precision", "recall")
    }
    return {**better, "false discoveries, at the end": met(false["at_the_end"], most=false["level"])}


def _case(told: Reported) -> Told:
    right = {f"{field.place}: {field.kind}": at for field, at in sorted(told.fields.items()) if field in told.wrong}
    return {
        "right": right,
        "false": sorted(f"{field.place}: {field.kind}" for field in told.fields.keys() - told.wrong),
    }


def _scores(scores: Scores) -> str:
    columns = list(scores[ALL][OURS])
    rows = [(f"{group}: {rule}", *each.values()) for group, rules in scores.items() for rule, each in rules.items()]
    return table([("", *columns), *rows])


def _faults(told: Sequence[Told]) -> str:
    """What ours reports though it is noise, and the mutants that it misses."""
    false = [f"{each['case']}: {', '.join(each[OURS]['false'])}" for each in told if each[OURS]["false"]]
    missed = [each["case"] for each in told if each["group"] in (WRONG, SELDOMLY, *NOISY) and not each[OURS]["right"]]
    return (
        f"reported by ours, but noise: {'; '.join(false) or 'nothing'}\nmissed by ours: {', '.join(missed) or 'none'}"
    )


def _level(false: Told) -> str:
    rows = [
        (name, false[key], *false[f"{key}_interval"], false["level"])
        for name, key in (("at the end", "at_the_end"), ("at the worst moment of each run", "at_its_worst"))
    ]
    return table([("false discoveries", "mean", "95 % from", "to", "level"), *rows])


def _targets(told: Told) -> str:
    rows = [(name, one["figure"], one["target"], "yes" if one["met"] else "NO") for name, one in told.items()]
    return table([("target", "measured", "target", "met"), *rows])


if __name__ == "__main__":
    main()
