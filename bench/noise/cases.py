"""The corpus: real answers, made noisy, wrong or both, while somebody writes. The same for a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from bench.noise.kinds import KINDS
from bench.noise.mutants import LIST, MUTANTS, SHOW
from bench.noise.recording import ANSWERS
from bench.noise.world import Case

SEED: Final = 20260113
WRITES: Final = 0.02  # before a question: every seventh experiment has one in its midst where it is confirmed
AT_ONCE: Final = 4  # kinds of noise in the answers of a mutant
MIXED: Final = 6
SELDOM: Final = 0.05  # of the answers, where a mutant errs now and then
SELDOM_WRONG: Final = (
    *("count off by one", "assignee missing", "id as a text", "HTML escaped", "500", "stale status", "no cursor"),
    *("elements swapped", "Cache-Control dropped", "wrong sender"),
)
ALONE, MIX, WRONG, SELDOMLY = "one kind of noise", "five kinds of noise", "a mutant", "a mutant for few requests"
AT_RANDOM = "a mutant at random"


def cases(seed: int = SEED) -> Iterator[tuple[str, Case]]:
    """Each with the group that it belongs to."""
    answers: dict[str, Any] = json.loads(ANSWERS.read_text())
    chance = random.Random(seed)  # a corpus is the same every time
    seeds = iter(range(seed, seed + 10_000))
    for number, (name, kind) in enumerate(KINDS.items()):
        yield ALONE, Case(name, answers[(LIST, SHOW)[number % 2]], [kind], None, 0.0, WRITES, next(seeds))
    # A trace by itself makes a false report of each answer by Diffy's rule: what is mixed must not be decided by that.
    mixed = [kind for name, kind in KINDS.items() if name != "trace with keys of its own"]
    for number in range(MIXED):
        noise = chance.sample(mixed, 5)
        route = list(answers)[number % len(answers)]
        yield MIX, Case(f"{route}, {number}", answers[route], noise, None, 0.0, WRITES, next(seeds))
    for name, (route, mutant) in MUTANTS.items():
        noise = chance.sample(mixed, AT_ONCE)
        yield WRONG, Case(name, answers[route], noise, mutant, 1.0, WRITES, next(seeds))
    for group in (SELDOMLY, AT_RANDOM):
        for name in SELDOM_WRONG:
            (route, mutant), noise = MUTANTS[name], chance.sample(mixed, AT_ONCE)
            case = Case(name, answers[route], noise, mutant, SELDOM, WRITES, next(seeds), group == AT_RANDOM)
            yield group, case
