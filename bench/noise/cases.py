"""The corpus: real answers, made noisy, wrong or both, while somebody writes. The same for a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from bench.noise.kinds import KINDS
from bench.noise.mutants import LIST, MUTANTS, SHOW
from bench.noise.noisy import ALWAYS, MORE_OFTEN, RULED, Noisy
from bench.noise.recording import ANSWERS
from bench.noise.world import QUIET, Case

SEED: Final = 20260113
AT_ONCE: Final = 4  # kinds of noise in the answers of a mutant
MIXED: Final = 6
SELDOM: Final = 0.05  # of the answers, where a mutant errs now and then
SELDOM_WRONG: Final = (
    *("count off by one", "assignee missing", "id as a text", "HTML escaped", "500", "stale status", "no cursor"),
    *("elements swapped", "Cache-Control dropped", "wrong sender"),
)
ALONE, MIX, WRONG, SELDOMLY = "one kind of noise", "five kinds of noise", "a mutant", "a mutant for few requests"
AT_RANDOM = "a mutant at random"
IN_NOISE, MORE, BY_RULE = "a mutant in noise", "more often than noise", "a mutant in noise, by rules"
NOISY: Final = {IN_NOISE: ALWAYS, MORE: MORE_OFTEN, BY_RULE: RULED}


def cases(seed: int = SEED) -> Iterator[tuple[str, Case]]:
    """Each with the group that it belongs to."""
    answers: dict[str, Any] = json.loads(ANSWERS.read_text())
    chance = random.Random(seed)  # a corpus is the same every time
    seeds = iter(range(seed, seed + 10_000))
    for number, (name, kind) in enumerate(KINDS.items()):
        yield ALONE, Case(name, answers[(LIST, SHOW)[number % 2]], [kind], None, 0.0, QUIET, next(seeds))
    # A trace by itself makes a false report of each answer by Diffy's rule: what is mixed must not be decided by that.
    mixed = [kind for name, kind in KINDS.items() if name != "trace with keys of its own"]
    for number in range(MIXED):
        noise = chance.sample(mixed, 5)
        route = list(answers)[number % len(answers)]
        yield MIX, Case(f"{route}, {number}", answers[route], noise, None, 0.0, QUIET, next(seeds))
    for name, (route, mutant) in MUTANTS.items():
        noise = chance.sample(mixed, AT_ONCE)
        yield WRONG, Case(name, answers[route], noise, mutant, 1.0, QUIET, next(seeds))
    for group in (SELDOMLY, AT_RANDOM):
        for name in SELDOM_WRONG:
            (route, mutant), noise = MUTANTS[name], chance.sample(mixed, AT_ONCE)
            case = Case(name, answers[route], noise, mutant, SELDOM, QUIET, next(seeds), group == AT_RANDOM)
            yield group, case
    for group, found in NOISY.items():
        for name, each in found.items():
            yield group, _noisy(name, each, answers[each.route], chance.sample(mixed, AT_ONCE - 1), next(seeds))


def _noisy(name: str, told: Noisy, recorded: Any, noise: list[Any], seed: int) -> Case:
    case = Case(name, recorded, noise, None, told.often, told.writes, seed, told.at_random)
    return replace(case, own=told.noise, slip=told.slip, rules=told.rules)
