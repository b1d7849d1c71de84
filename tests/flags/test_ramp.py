"""A way up: when it goes on, when it waits, and what ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.edit import lifted, moved
from flags.flag import WHOLE, Flag, Source, Trip
from flags.ramp import (
    MOST_STEPS,
    Alike,
    Ramp,
    State,
    Watch,
    Watched,
    began,
    missing,
    onward,
    raised,
    span,
    stands,
    told,
    turned,
)
from flags.rollback import Kind, Verdict

HEALTHY = Verdict(Kind.HEALTHY, "native failed 0 of 900 subjects, legacy 1 of 9000")
UNHEALTHY = Verdict(Kind.UNHEALTHY, "native failed 41 of 310")
DOUBTFUL = Verdict(Kind.INCONCLUSIVE, "native answered 3 of the 50 requests needed")
NOW = 1_000_000.0
RAMP = Ramp((100, 500, 2_500, WHOLE), hold=600.0, min_requests=2_000, by="anna", found=7, at=NOW - 900, generation=3)
MOVED = Flag(native=100, generation=8, step=RAMP.found)
ENOUGH = Watched(600.0, 2_000)


def test_a_share_that_was_held_and_earned_is_followed_by_the_next() -> None:
    after = onward(RAMP, MOVED, HEALTHY, ENOUGH, NOW)
    assert (after.step, after.share, after.found, after.at) == (1, 500, MOVED.generation, NOW)
    assert after.state is State.RUNNING
    assert after.generation > RAMP.generation


@pytest.mark.parametrize(
    ("verdict", "watched", "words"),
    [
        (HEALTHY, Watched(599.9, 2_000), "1 s more of the hold of 10 min"),
        (HEALTHY, Watched(600.0, 1_999), "1 more of the 2000 requests"),
        (None, ENOUGH, "a verdict: it is not judged yet"),
        (DOUBTFUL, ENOUGH, f"a healthy verdict: it is inconclusive: {DOUBTFUL.words}"),
        (UNHEALTHY, ENOUGH, f"a healthy verdict: it is unhealthy: {UNHEALTHY.words}"),
        (HEALTHY, replace(ENOUGH, ready=False), "a native that takes requests"),
    ],
)
def test_it_waits_for_whatever_is_missing_and_says_what(verdict: Verdict | None, watched: Watched, words: str) -> None:
    assert onward(RAMP, MOVED, verdict, watched, NOW) is RAMP
    assert missing(RAMP, verdict, watched) == (words,)
    assert words in told(RAMP, verdict, watched)


def test_where_parity_is_asked_for_no_step_is_taken_before_it_is_proved() -> None:
    asks = replace(RAMP, parity=10)
    doubt = replace(ENOUGH, alike=Alike(0.00101, "they are ≤ 0.11 % after 4 900 comparisons"))
    words = "mismatches of 0.1 % at most: they are ≤ 0.11 % after 4 900 comparisons"
    assert missing(asks, HEALTHY, doubt) == (words,)
    assert onward(asks, MOVED, HEALTHY, doubt, NOW) is asks
    assert missing(asks, HEALTHY, ENOUGH) == ("mismatches of 0.1 % at most: nothing is known of them",)
    proved = replace(ENOUGH, alike=Alike(0.001, ""))
    assert onward(asks, MOVED, HEALTHY, proved, NOW).step == 1
    assert onward(RAMP, MOVED, HEALTHY, doubt, NOW).step == 1  # who does not ask for it does not wait
    assert began(asks) == f"{began(RAMP)}, and mismatches of 0.1 % at most"


@pytest.mark.parametrize("parity", [-1, WHOLE, 0.1, True])
def test_a_parity_that_says_nothing_is_refused(parity: int) -> None:
    with pytest.raises(ValueError, match="parity"):
        replace(RAMP, parity=parity)


def test_all_that_is_missing_is_said_at_once() -> None:
    words = told(RAMP, DOUBTFUL, Watched(60.0, 310))
    assert words == (
        "running, step 1 of 4, 1 %; goes on to 5 % after 9 min more of the hold of 10 min; and "
        "1690 more of the 2000 requests; and a healthy verdict: it is inconclusive: " + DOUBTFUL.words
    )


def test_the_last_share_is_held_and_earned_too_and_then_it_is_done() -> None:
    last = replace(RAMP, step=3)
    flag = Flag(native=WHOLE, generation=9, step=RAMP.found)
    assert onward(last, flag, HEALTHY, Watched(1.0, 5_000), NOW) is last
    done = onward(last, flag, HEALTHY, ENOUGH, NOW)
    assert (done.state, done.share) == (State.DONE, WHOLE)
    assert told(done, HEALTHY, ENOUGH) == "done at step 4 of 4, 100 %: native has held 100 %"
    assert onward(done, Flag(generation=10), DOUBTFUL, Watched(), NOW) is done


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED])
@pytest.mark.parametrize("generation", [7, 8, 9])
def test_a_trip_stops_it_whatever_else_holds(state: State, generation: int) -> None:
    tripped = Flag(trip=Trip(NOW, "native failed 41 of 310"), generation=generation)
    stopped = onward(replace(RAMP, state=state), tripped, HEALTHY, ENOUGH, NOW)
    assert (stopped.state, stopped.why) == (State.STOPPED, "the route tripped: native failed 41 of 310")
    assert raised(stopped, Flag(generation=RAMP.found)).native == 0


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED])
@pytest.mark.parametrize("native", [0, 99, 500, WHOLE])
def test_whoever_else_moves_the_share_stops_it(state: State, native: int) -> None:
    stopped = onward(replace(RAMP, state=state), Flag(native=native, generation=9), HEALTHY, ENOUGH, NOW)
    assert stopped.state is State.STOPPED
    assert stopped.why.startswith("somebody else gave native ")


def test_a_share_of_the_same_size_that_unleash_gave_is_somebody_else_s() -> None:
    taken = Flag(native=100, source=Source(7, "another group"), generation=9)
    assert onward(RAMP, taken, HEALTHY, ENOUGH, NOW).state is State.STOPPED


@pytest.mark.parametrize("found", [0, 7])
def test_a_share_of_the_same_size_that_somebody_gives_after_a_trip_is_theirs_though_the_trip_was_never_seen(
    found: int,
) -> None:
    ramp = replace(RAMP, found=found)
    step = replace(raised(ramp, Flag(generation=found)), generation=8)
    assert stands(ramp, step)
    back = moved("things", 100, None)(lifted(step.after(Trip(NOW, "by hand"))))
    stopped = onward(ramp, replace(back, generation=11), HEALTHY, ENOUGH, NOW)
    assert (stopped.state, stopped.why) == (State.STOPPED, "somebody else gave native 1 %")


def test_a_share_of_the_same_size_that_somebody_gives_after_another_is_theirs() -> None:
    back = moved("things", 100, None)(moved("things", 200, None)(MOVED))
    assert onward(RAMP, replace(back, generation=10), HEALTHY, ENOUGH, NOW).state is State.STOPPED


def test_an_order_for_the_share_that_a_step_has_given_changes_nothing() -> None:
    assert moved("things", 100, None)(MOVED) == MOVED


def test_a_change_that_leaves_the_share_alone_stops_nothing() -> None:
    shadowed = replace(moved("things", None, 5_000)(MOVED), generation=12)
    assert onward(RAMP, shadowed, DOUBTFUL, Watched(), NOW) is RAMP
    assert onward(RAMP, shadowed, HEALTHY, ENOUGH, NOW).found == 12


def test_a_share_that_has_yet_to_be_moved_is_not_taken_for_somebody_else_s() -> None:
    found = Flag(native=0, shadow=300, generation=RAMP.found)
    assert onward(RAMP, found, HEALTHY, ENOUGH, NOW) is RAMP
    assert raised(RAMP, found) == Flag(native=100, shadow=300, generation=RAMP.found, step=RAMP.found)


@pytest.mark.parametrize(
    "flag",
    [
        MOVED,
        Flag(generation=6),
        Flag(generation=8),
        Flag(native=50, generation=9),
        Flag(trip=Trip(1.0, "x"), generation=7),
    ],
)
def test_only_the_flag_that_was_found_is_moved(flag: Flag) -> None:
    assert raised(RAMP, flag) is flag


@pytest.mark.parametrize("state", set(State) - {State.RUNNING})
def test_nothing_is_moved_but_while_it_runs(state: State) -> None:
    found = Flag(generation=RAMP.found)
    assert raised(replace(RAMP, state=state), found) is found


def test_a_worker_that_has_yet_to_hear_of_the_flag_does_nothing() -> None:
    assert onward(RAMP, Flag(native=3, generation=6), HEALTHY, ENOUGH, NOW) is RAMP


def test_a_pause_holds_the_share_and_what_was_held_counts_after_it() -> None:
    paused = RAMP.into(State.PAUSED, NOW, "by bob")
    assert onward(paused, MOVED, HEALTHY, ENOUGH, NOW) is paused
    assert told(paused, HEALTHY, ENOUGH) == "paused at step 1 of 4, 1 %; the share stays until it is resumed"
    assert onward(paused.into(State.RUNNING, NOW), MOVED, HEALTHY, ENOUGH, NOW).step == 1


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((), "has 1 to"),
        (tuple(range(1, MOST_STEPS + 2)), "has 1 to"),
        ((0, 100), "above 0 %"),
        ((100, WHOLE + 1), "at most 100 %"),
        ((100, 100), "only raises"),
        ((500, 100), "only raises"),
    ],
)
def test_what_is_no_way_up_is_refused(shares: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(RAMP, shares=shares)


verdicts = st.sampled_from([None, HEALTHY, UNHEALTHY, DOUBTFUL])
flags = st.builds(
    Flag,
    native=st.sampled_from([0, 100, 500, 2_500]),
    trip=st.sampled_from([None, Trip(1.0, "x")]),
    generation=st.integers(5, 12),
    step=st.sampled_from([None, 0, RAMP.found]),
)
watches = st.builds(Watched, st.floats(0, 1_200), st.integers(0, 4_000), st.booleans())


@given(st.sampled_from(list(State)), st.integers(0, 3), flags, verdicts, watches)
def test_no_share_is_ever_raised_but_by_one_step_from_a_share_in_force_that_has_earned_it(
    state: State, step: int, flag: Flag, verdict: Verdict | None, watched: Watched
) -> None:
    before = replace(RAMP, state=state, step=step)
    after = onward(before, flag, verdict, watched, NOW)
    assert raised(after, flag).native <= max(flag.native, after.share)
    if after.step != before.step:
        assert after.step == before.step + 1
        assert state is State.RUNNING
        assert stands(before, flag)
        assert verdict is HEALTHY
        assert watched.seconds >= before.hold
        assert watched.answered >= before.min_requests
        assert watched.ready
    if flag.tripped:
        assert raised(after, flag).native == flag.native


def test_requests_are_counted_until_their_second_is_told_no_more_and_once() -> None:
    watch = Watch(8, 50.0, first=101)
    watch.see(52.5, {99: 900, 100: 900, 101: 3, 102: 1}, True)
    assert watch.watched == Watched(2.5, 4)
    watch.see(53.0, {101: 5, 102: 4}, True)  # answered meanwhile
    assert watch.watched.answered == 9
    watch.see(54.0, {102: 4, 103: 10}, True)  # the first is too old to be told
    assert watch.watched.answered == 19
    watch.see(54.0, {101: 5, 102: 4, 103: 10}, True)  # and told again, by another store
    assert watch.watched.answered == 19
    watch.see(80.0, {}, True)
    assert watch.watched == Watched(30.0, 19)


def test_a_time_at_whose_beginning_or_end_native_took_no_requests_is_not_held() -> None:
    watch = Watch(8, 50.0, first=101)
    for clock, ready, held in ((53.0, True, 3.0), (54.0, False, 3.0), (60.0, False, 3.0), (61.0, True, 3.0)):
        watch.see(clock, {}, ready)
        assert watch.watched == Watched(held, 0, ready)
    watch.see(62.5, {}, True)
    assert watch.watched == Watched(4.5, 0)
    late = Watch(8, 50.0, first=101, ready=False)
    late.see(59.0, {}, True)
    assert late.watched == Watched()


@pytest.mark.parametrize(
    ("ramp", "words"),
    [
        (RAMP.into(State.PAUSED, NOW, "by bob"), "its ramp is paused at step 1 of 4, 1 %"),
        (RAMP.into(State.RUNNING, NOW, "by bob"), "its ramp is resumed at step 1 of 4, 1 %"),
        (RAMP.onto(1, 9, NOW).into(State.ABORTED, NOW, "by bob"), "its ramp is aborted at step 2 of 4, 5 %"),
        (RAMP.into(State.STOPPED, NOW, "it tripped"), "its ramp is stopped at step 1 of 4, 1 %: it tripped"),
    ],
)
def test_its_record_says_what_became_of_it_and_where(ramp: Ramp, words: str) -> None:
    assert turned(ramp) == words


def test_its_record_says_what_began() -> None:
    assert began(RAMP) == "a ramp begins: 1 %, 5 %, 25 %, 100 %, each for 10 min and 2000 requests at least"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (119, "119 s"), (150, "2 min"), (600, "10 min"), (7_200, "2 h"), (86_400, "24 h")],
)
def test_a_length_of_time_is_said_no_finer_than_it_helps(seconds: float, words: str) -> None:
    assert span(seconds) == words
