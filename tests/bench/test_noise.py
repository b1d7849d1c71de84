"""The corpus is what its page says, and both rules are applied to it as they are meant."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from bench.noise.__main__ import ALL, NO_RULES, grouped
from bench.noise.cases import ALONE, AT_RANDOM, BY_RULE, IN_NOISE, MIX, MORE, NOISY, SELDOMLY, WRONG, cases
from bench.noise.kinds import KINDS
from bench.noise.level import simulated
from bench.noise.mutants import MUTANTS
from bench.noise.recording import ANSWERS
from bench.noise.rules import Reported, _reported, diffy, ours
from bench.noise.scores import score
from bench.noise.world import LEGACY, NATIVE, TWINS, Case, World
from shadow.noise import Field
from shadow.observation import Observation
from shadow.stakes import LEVEL

RECORDED = json.loads(ANSWERS.read_text())
SHOW = RECORDED["conversations.show"]
NAME, AT = Field("name", "value"), Field("at", "value")


def case(**told: object) -> Case:
    given = {"noise": (), "mutant": None, "often": 1.0, "writes": 0.0, "seed": 1}
    return Case(**{"name": "x", "recorded": SHOW, **given, **told})  # type: ignore[arg-type]  # as each test has them


def test_the_corpus_has_what_it_takes_and_is_the_same_every_time() -> None:
    groups = [group for group, _ in cases()]
    assert (len(KINDS) >= 20, len(MUTANTS) >= 30) == (True, True)
    assert {group: groups.count(group) for group in (ALONE, WRONG)} == {ALONE: len(KINDS), WRONG: len(MUTANTS)}
    assert set(groups) == {ALONE, MIX, WRONG, SELDOMLY, AT_RANDOM, IN_NOISE, MORE, BY_RULE}
    one, other = ([(group, each.name, each.seed, each.often) for group, each in cases()] for _ in range(2))
    assert one == other


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_noise_makes_answers_differ_on_either_side(kind: str) -> None:
    for side in (LEGACY, NATIVE):
        world = World(case(recorded=RECORDED["conversations.list"], noise=[KINDS[kind]], writes=0.2))
        told = set()
        for _ in range(400):
            world.rest()
            seen = world.answer(side)
            told.add((seen.status, seen.headers, seen.body))
        assert len(told) > 1


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, found in NOISY.items() for name in found])
def test_a_mutant_in_noise_is_wrong_where_both_sides_differ_anyway(group: str, name: str) -> None:
    (noisy,) = (replace(each, noise=()) for at, each in cases() if (at, each.name) == (group, name))
    world, told = World(noisy), {LEGACY: set[object](), NATIVE: set[object]()}
    for _ in range(200):
        world.rest()
        for side, seen in told.items():
            answer = world.answer(side)
            seen.add((answer.status, answer.headers, answer.body))
    assert len(told[LEGACY]) > 1
    assert 1 <= len(world.twins) <= TWINS
    assert any(
        (right.status, right.headers, right.body) != (wrong.status, wrong.headers, wrong.body)
        for right, wrong in world.twins
    )


async def test_a_mutant_in_noise_is_proved_and_what_rules_cover_is_right() -> None:
    noisy = {each.name: replace(each, noise=()) for _, each in cases()}
    told = await ours(noisy["counted twice while people write"], 100)
    assert set(told.fields) == {Field("data.messageCount", "value")} == set(told.wrong)
    told, raw = await ours(noisy["a counter within 50, counted twice"], 3), Field("meta.seen", "value")
    assert set(told.fields) == set(told.wrong) == {raw}
    shown = await diffy(noisy["a counter within 50, counted twice"], 50)
    assert (list(shown.fields), list(shown.wrong)) == ([], [raw])  # by itself it differs each time


def test_each_case_is_in_its_groups_and_what_takes_time_once_more_after_all_others() -> None:
    told = grouped([ALONE, IN_NOISE, AT_RANDOM, BY_RULE, IN_NOISE], 90)
    assert (told[ALONE], told[IN_NOISE], told[WRONG]) == ([0], [1, 4], [])
    assert (told[f"{IN_NOISE}, 90 requests"], told[f"{AT_RANDOM}, 90 requests"]) == ([5, 7], [6])
    assert (told[ALL], told[NO_RULES]) == ([0, 1, 4, 3], [0, 1, 4])
    assert MORE in told


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_wrong_on_native_alone(mutant: str) -> None:
    route, change = MUTANTS[mutant]
    world = World(case(recorded=RECORDED[route], mutant=change))
    world.rest()

    def shown(seen: Observation) -> tuple[object, ...]:
        return seen.status, seen.headers, seen.body

    right = shown(world.answer(LEGACY))
    assert shown(world.answer(LEGACY)) == right != shown(world.answer(NATIVE))


async def test_a_mutant_is_found_amid_noise_and_nothing_else_is() -> None:
    noise = [KINDS["requestId"], KINDS["banner for half"], KINDS["clock in milliseconds"]]
    told = await ours(case(noise=noise, mutant=MUTANTS["stale status"][1], writes=0.02), 30)
    assert set(told.fields) == {Field("data.status", "value")} == told.wrong


async def test_diffys_rule_finds_it_too_and_noise_that_happens_to_be_rarer_once() -> None:
    told = await diffy(case(mutant=MUTANTS["stale status"][1]), 5)
    assert told.fields == {Field("data.status", "value"): 5}
    assert (_reported(60, 40, 1_000), _reported(61, 40, 1_000)) == (False, True)  # 20 % of both together
    assert (_reported(1, 0, 3_000), _reported(1, 0, 4_000)) == (True, False)  # 0.03 % of the requests
    assert not _reported(1, 9, 10)


def test_a_score_counts_fields_and_mutants() -> None:
    right = Reported({NAME: 3}, 1.5, frozenset({NAME}))
    both, missed, quiet = (
        replace(right, fields={NAME: 7, AT: 1}),
        replace(right, fields={}, unconfirmed=frozenset({NAME})),
        Reported({}, 1.0, frozenset()),
    )
    told = score([right, both, missed, quiet])
    assert (told["reported"], told["false"], told["precision"], told["with a false report"]) == (3, 1, 0.6667, 1)
    assert (told["mutants"], told["found"], told["listed"], told["recall"], told["after"]) == (3, 2, 3, 0.6667, 5)
    assert told["asked"] == 1.375
    assert (score([quiet])["precision"], score([quiet])["recall"]) == (1.0, 1.0)


def test_false_discoveries_stay_below_their_level() -> None:
    told = simulated(6, 1)
    assert told.at_the_end_interval[0] <= told.at_the_end <= told.at_its_worst + 1e-9
    assert told.at_the_end_interval[0] <= LEVEL
    assert told.power > 0.5


def test_a_case_comes_out_the_same_every_time() -> None:
    noisy = case(noise=[KINDS["banner for few"], KINDS["views"]], mutant=MUTANTS["500"][1], often=0.05, writes=0.05)
    one, other = (asyncio.run(ours(noisy, 15)) for _ in range(2))
    assert one == other
