from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.noise import (
    AGAIN,
    DOUBT,
    DOUBTED,
    FIELDS,
    LIFE,
    OFTEN,
    ROUNDS,
    Field,
    Fields,
    Learned,
    Look,
    Lot,
    Noise,
    Standing,
)
from shadow.stakes import LEVEL, Often
from tests.shadow.test_stakes import tossed

ID, AT, NAME = Field("id", "value"), Field("data[*].at", "value"), Field("data[*].name", "missing")


def fields(*found: Field) -> Fields:
    return frozenset(found)


def learned(*looks: tuple[Iterable[Field], Iterable[Field]]) -> Noise:
    """Of looks, each with where the candidate and the control differ."""
    noise = Noise()
    for candidate, control in looks:
        noise.hear(Look(frozenset(candidate), frozenset(control)))
    return noise


def test_a_field_that_nobody_has_seen_differ_is_unknown() -> None:
    assert Noise().standing(ID) is Standing.UNKNOWN


def test_a_field_in_which_the_control_differs_from_itself_is_noise() -> None:
    once, noise = learned(((), [ID])), learned(((), [ID]), ([AT], [ID]))
    assert once.standing(ID) is Standing.UNKNOWN  # there may have been a write
    assert noise.standing(ID) is Standing.NOISE
    assert noise.standing(ID._replace(kind="type")) is Standing.UNKNOWN


def test_a_control_that_seldom_differs_from_itself_is_worth_being_asked_again() -> None:
    differing, often = [([ID], [ID])] * AGAIN, int(AGAIN / OFTEN)
    assert learned(*differing, *[((), ())] * (often - AGAIN)).standing(ID) is Standing.NOISE
    assert learned(*differing, *[((), ())] * (often - AGAIN + 1)).standing(ID) is Standing.UNKNOWN
    assert learned(*[((), ())] * 1_000, *differing).standing(ID) is Standing.NOISE  # of the looks since it was met


def test_a_field_is_believed_after_some_rounds_if_the_control_never_differed_there() -> None:
    noise = Noise()
    noise.meet([ID, AT])
    for _ in range(ROUNDS):
        assert noise.standing(ID) is Standing.UNKNOWN
        noise.confirmed(fields(ID, NAME))
    assert noise.standing(ID) is Standing.BELIEVED
    assert (noise.standing(AT), noise.standing(NAME)) == (Standing.UNKNOWN, Standing.UNKNOWN)
    noise.differed(fields(ID))
    assert noise.standing(ID) is Standing.UNKNOWN


def test_a_noisy_field_is_proved_by_the_candidate_that_alone_differs_again_and_again() -> None:
    noise = learned(([ID], [ID]), *[([ID], [])] * 6, ((), [ID]), ([ID], [ID]))
    assert noise.standing(ID) is not Standing.PROVED
    for _ in range(14):
        noise.hear(Look(fields(ID), fields()))
    assert noise.standing(ID) is Standing.PROVED


def test_a_field_that_both_always_differ_in_is_noise_however_long_that_lasts() -> None:
    assert learned(*[([ID], [ID])] * 500).standing(ID) is Standing.NOISE


def test_the_more_fields_are_met_the_more_is_wanted_of_the_last() -> None:
    noise, every = Noise(), [Field(f"f{number}", "value") for number in range(FIELDS)]
    noise.meet(every)
    enough = []
    for each in (min(every), max(every)):
        tosses = 0
        while noise.standing(each) is not Standing.PROVED:
            noise.hear(Look(fields(each), fields()))
            tosses += 1
        enough.append(tosses)
    first, last = enough
    assert 8 < first < last < 30


def test_the_more_fields_are_proved_the_less_is_wanted_of_each() -> None:
    first, second = sorted([ID, AT])
    parts = [1 / (at * (at + 1)) for at in (1, 2)]
    enough = [next(n for n in range(30) if part * tossed(n).won >= 1 / (2 * LEVEL)) for part in parts]
    alone, both = (learned(([first, second], [first, second])) for _ in range(2))
    for at in range(max(enough)):
        alone.hear(Look(fields(first) if at < enough[0] else fields(), fields()))
        both.hear(Look(frozenset(each for each, n in zip((first, second), enough, strict=True) if at < n), fields()))
    assert alone.standing(first) is not Standing.PROVED
    assert {both.standing(first), both.standing(second)} == {Standing.PROVED}


def test_what_is_sure_grows_no_surer_so_that_it_is_doubted_soon_after_it_was_mended() -> None:
    noise = learned(([ID], [ID]), *[([ID], [])] * 1_000)
    assert noise.standing(ID) is Standing.PROVED
    for _ in range(8):  # now both sides differ alike
        noise.hear(Look(fields(ID), fields()))
        noise.hear(Look(fields(), fields(ID)))
    assert noise.standing(ID) is not Standing.PROVED


@given(st.data())
def test_the_order_of_what_was_seen_does_not_matter_to_a_field_that_is_known(data: st.DataObject) -> None:
    looks = data.draw(st.lists(st.tuples(*[st.frozensets(st.sampled_from([ID, AT]))] * 2), max_size=12))
    shuffled = data.draw(st.permutations(looks))
    one, other = Noise(), Noise()
    for noise, order in ((one, looks), (other, shuffled)):
        noise.meet([ID, AT])
        for candidate, control in order:
            noise.hear(Look(candidate, control))
    assert [one.standing(each) for each in (ID, AT)] == [other.standing(each) for each in (ID, AT)]


def lot(candidate: Fields, control: Fields | None, *, first: Fields | None = None, chance: float = 0.1) -> Lot:
    """`first`: where the first answer differs, if it was not the candidate's."""
    return Lot(chance, control is not None, (candidate if first is None else first, candidate, control))


def test_a_field_is_proved_by_many_candidates_that_all_differ_and_few_controls_of_which_half_do() -> None:
    """Twelve times the control was asked as well: by the order alone that would prove nothing."""
    noise = learned(([ID], [ID]))
    for number in range(120):
        if number % 10:
            noise.draw(lot(fields(ID), None))
            continue
        control = fields(ID) if number % 20 else fields()
        noise.draw(lot(fields(ID), control, first=control))
        noise.hear(Look(fields(ID), control))
    assert noise.standing(ID) is Standing.PROVED
    by_order = learned(([ID], [ID]), *[([ID], []), ([ID], [ID])] * 6)
    assert by_order.standing(ID) is not Standing.PROVED


def test_both_are_asked_more_often_while_that_may_prove_something_soon() -> None:
    noise = learned(([ID], [ID]), ([ID], [ID]))
    tosses = next(n for n in range(20) if tossed(n).won >= DOUBT)
    for _ in range(tosses):
        assert noise.chance(0.1) == 0.1
        noise.hear(Look(fields(ID), fields()))
    assert (noise.chance(0.1), noise.chance(0.7)) == (DOUBTED, 0.7)
    assert noise.chance(0.0) == 0.0  # nobody is to be asked twice
    for _ in range(20):
        noise.hear(Look(fields(ID), fields()))
    assert (noise.standing(ID), noise.chance(0.1)) == (Standing.PROVED, 0.1)


def test_people_are_told_how_often_both_sides_differ_in_a_field() -> None:
    noise = Noise()
    noise.meet([ID])
    for number in range(40):
        noise.draw(lot(fields(ID), fields(ID) if number % 8 == 0 else fields() if number % 4 == 0 else None))
    told = noise.often([ID, AT])
    assert list(told) == [ID]
    assert replace(told[ID], proof=0.0) == Often(candidate=40, candidates=40, control=5, controls=10, proof=0.0)
    assert told[ID].proof < 1
    for _ in range(20):
        noise.hear(Look(fields(ID), fields()))
    assert noise.often([ID])[ID].proof >= 1


def test_what_is_confirmed_needs_no_more_looks() -> None:
    noise = Noise()
    noise.meet([ID])
    for _ in range(5):
        noise.hear(Look(fields(ID), fields()))
    assert noise.chance(0.1) == DOUBTED
    for _ in range(ROUNDS):
        noise.confirmed(fields(ID))
    assert noise.chance(0.1) == 0.1


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_of_noise_next_to_nothing_is_ever_proved(rate: float) -> None:
    """Ten fields that are noise on both sides alike, in 100 runs of 150 comparisons: looked at after each of them."""
    chance, every = random.Random(20260113), [Field(f"f{number}", "value") for number in range(10)]  # noqa: S311  # chance, not secrecy
    runs = sum(_ever_proved(chance, every, rate) for _ in range(100))
    assert runs <= 4  # 1 is allowed in the mean; at that, more than 4 would come once in 300 times


def _ever_proved(chance: random.Random, every: list[Field], rate: float) -> bool:
    noise = Noise()
    noise.differed(frozenset(every))
    for _ in range(150):
        likely = noise.chance(0.4)
        both, first = chance.random() < likely, chance.random() < 0.5
        candidate, control = (frozenset(each for each in every if chance.random() < rate) for _ in range(2))
        noise.draw(lot(candidate, control if both else None, first=control if both and first else None, chance=likely))
        if both:
            noise.hear(Look(candidate, control))
        if any(noise.standing(each) is Standing.PROVED for each in candidate - control):
            return True
    return False


def test_what_is_remembered_is_bounded_and_what_told_most_stays() -> None:
    noise = learned(([], [ID]), ([], [ID]))
    for number in range(3 * FIELDS):
        noise.hear(Look(fields(Field(f"trace.{number}", "extra")), fields(Field(f"trace.{number}", "missing"))))
    assert len(noise) == FIELDS
    assert noise.standing(Field("trace.0", "missing")) is Standing.UNKNOWN
    assert noise.standing(ID) is Standing.UNKNOWN  # that was long ago
    for _ in range(40):
        noise.hear(Look(fields(ID), fields()))
    assert noise.standing(ID) is Standing.PROVED  # it was known all the time, as one of the first


def test_what_is_met_again_makes_no_room_for_what_is_new_with_it() -> None:
    noise, every = Noise(), [Field(f"f{number:03}", "value") for number in range(FIELDS)]
    noise.meet(every)
    for _ in range(3):
        noise.draw(lot(fields(every[0]), None))
    news = [Field(f"a{number}", "value") for number in range(4)]
    noise.meet([*news, every[0]])
    assert noise.known == {*news, every[0], *every[5:]}
    assert noise.often([every[0]])[every[0]].candidates == 3


def test_where_all_that_is_known_has_told_something_the_newest_gets_in_all_the_same() -> None:
    noise, every = Noise(), [Field(f"f{number:03}", "value") for number in range(FIELDS)]
    noise.differed(frozenset(every))
    news = [Field(f"a{number}", "value") for number in range(4)]
    noise.meet(news)
    assert noise.known == {news[-1], *every[1:]}


def test_after_a_day_all_is_learned_anew_but_for_what_was_noise() -> None:
    memory = Learned()
    noise = memory.of("list", "legacy", 1_000.0)
    noise.meet([AT])
    for _ in range(ROUNDS):
        noise.confirmed(fields(AT))
    noise.differed(fields(ID))
    assert memory.of("list", "legacy", 1_000.0 + LIFE - 1) is noise
    anew = memory.of("list", "legacy", 1_000.0 + LIFE)
    assert (anew.standing(AT), anew.standing(ID)) == (Standing.UNKNOWN, Standing.NOISE)
    assert memory.of("list", "legacy", 1_000.0 + LIFE + 1) is anew
    for _ in range(int(AGAIN / OFTEN)):
        anew.differed(fields())
    assert anew.standing(ID) is Standing.UNKNOWN
    over = memory.of("list", "legacy", 1_000.0 + 2 * LIFE)
    assert (over.standing(ID), len(over)) == (Standing.UNKNOWN, 0)  # for a day it was none


def test_each_side_of_each_route_is_learned_by_itself() -> None:
    memory = Learned()
    for _ in range(AGAIN):
        memory.of("list", "legacy", 0.0).differed(fields(ID))
    assert memory.of("list", "legacy", 0.0).standing(ID) is Standing.NOISE
    assert memory.of("list", "native", 0.0).standing(ID) is Standing.UNKNOWN
    assert memory.of("show", "legacy", 0.0).standing(ID) is Standing.UNKNOWN
