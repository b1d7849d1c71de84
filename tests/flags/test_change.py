"""What an operator is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flags.change import Change, Reach
from flags.flag import WHOLE, Flag, Source, Trip

TRIPPED = Flag(shadow=100, trip=Trip(1.0, "by hand: incident 7"), generation=2)


@pytest.mark.parametrize(
    ("before", "after", "reach", "words"),
    [
        (Flag(), Flag(native=500), Reach.FLEET, "native answers 5 % (it was 0 %), on every worker"),
        (
            Flag(native=500),
            Flag(native=WHOLE, source=Source(7, rules="a1")),
            Reach.FLEET,
            "native answers whom Unleash's rules choose (it was 5 %), on every worker",
        ),
        (
            Flag(native=WHOLE, source=Source(7, rules="a1")),
            Flag(source=Source(8)),
            Reach.FLEET,
            "native answers 0 % (it was whom Unleash's rules choose), on every worker",
        ),
        (
            Flag(),
            Flag(native=500, shadow=100),
            Reach.FLEET,
            "native answers 5 % (it was 0 %), 1 % is shadowed (it was 0 %), on every worker",
        ),
        (Flag(shadow=5), Flag(), Reach.FLEET, "0 % is shadowed (it was 0.05 %), on every worker"),
        (Flag(native=5), Flag(native=5), Reach.FLEET, "nothing changed: native answers 0.05 %, 0 % is shadowed"),
        (
            Flag(native=500),
            TRIPPED,
            Reach.FLEET,
            "tripped (by hand: incident 7); legacy answers everything until a reset, on every worker",
        ),
        (
            Flag(native=500),
            TRIPPED,
            Reach.WORKER,
            "tripped (by hand: incident 7); legacy answers everything until a reset, "
            "on this worker only: the store cannot be reached, and hears of it when it is back; "
            "should this process end before that, it is lost",
        ),
        (
            Flag(native=500),
            TRIPPED,
            Reach.PROXY,
            "tripped (by hand: incident 7); legacy answers everything until a reset, "
            "on every worker of this proxy: the store cannot be reached, and hears of it when it is back; "
            "should this proxy end before that, it is lost",
        ),
        (
            TRIPPED,
            TRIPPED,
            Reach.FLEET,
            "nothing changed: it is tripped already (by hand: incident 7) "
            "and legacy answers everything, on every worker",
        ),
        (
            TRIPPED,
            Flag(shadow=100),
            Reach.FLEET,
            "reset, on every worker; legacy still answers everything: native's share is 0 % until you raise it",
        ),
    ],
)
def test_a_change_says_what_happened_and_what_it_means_for_traffic(
    before: Flag, after: Flag, reach: Reach, words: str
) -> None:
    assert Change("messages.create", before, after, reach).words == f"messages.create: {words}"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (500, WHOLE, "native answers 98 % (it was 5 %), 2 % is held back as control (100 % asked), on every worker"),
        (WHOLE, 9_900, "native answers 98 % (it was 98 %), 2 % is held back as control (99 % asked), on every worker"),
        (WHOLE, 9_800, "native answers 98 % (it was 98 %), on every worker"),
        (WHOLE, WHOLE, "nothing changed: native answers 98 %, 0 % is shadowed"),
    ],
)
def test_the_share_that_is_told_is_the_one_in_force(before: int, after: int, words: str) -> None:
    change = Change("messages.create", Flag(native=before), Flag(native=after), held=200)
    assert change.words == f"messages.create: {words}"


def test_rules_have_no_share_to_be_held_back_from() -> None:
    change = Change("messages.create", Flag(), Flag(native=WHOLE, source=Source(7, rules="a1")), held=200)
    assert change.words == "messages.create: native answers whom Unleash's rules choose (it was 0 %), on every worker"


@pytest.mark.parametrize("reach", [Reach.WORKER, Reach.PROXY])
def test_what_the_disk_has_is_not_said_to_be_lost(reach: Reach) -> None:
    words = Change("messages.create", Flag(native=500), TRIPPED, reach, kept=True).words
    assert "this machine's disk has it, over a restart too" in words
    assert "lost" not in words


@pytest.mark.parametrize("reach", Reach)
def test_what_the_disk_did_not_take_is_said_wherever_it_holds(reach: Reach) -> None:
    change = Change("messages.create", Flag(native=500), TRIPPED, reach)
    asked, refused = change.words, replace(change, kept=False).words
    assert f"{reach.value}; this machine's disk did not take it in time" in refused
    assert "disk did not" not in asked
    assert ("should this" in refused) == ("should this" in asked) == (reach is not Reach.FLEET)
