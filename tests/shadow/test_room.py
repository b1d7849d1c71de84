from __future__ import annotations

from shadow.room import HELD, LEARNT, LONGEST, ROUND, TENFOLD, TRUSTED, WAITED, Room

USUAL = 0.1
NOW = 1_000.0


class Threads:
    """A side of so many threads, each of which takes `takes` seconds: who finds none waits for one."""

    def __init__(self, room: Room, threads: int, takes: float = USUAL) -> None:
        self.room, self.threads, self.takes = room, threads, takes

    def serve(self, answers: int, route: str = "list") -> None:
        """Keep the room full while so many are answered."""
        for _ in range(answers):
            while self.room.free(NOW):
                self.room.enter(route, NOW)
            seconds = self.takes * max(1.0, self.room.taken / self.threads)
            self.room.leave(route)
            self.room.answered(route, seconds)

    def places(self, rounds: int) -> list[int]:
        """How many there were after each of so many rounds."""
        told = []
        for _ in range(rounds):
            self.serve(ROUND)
            told.append(self.room.places)
        return told


def test_it_begins_with_one_and_takes_one_more_after_each_round_that_was_quick() -> None:
    threads = Threads(Room(most=4), threads=100)
    threads.serve(LEARNT - 1)  # of these nobody knows yet what is usual
    assert threads.room.places == 1
    assert threads.places(6) == [2, 3, 4, 4, 4, 4]


def test_where_threads_are_short_it_stays_below_them_most_of_the_time() -> None:
    threads = Threads(Room(most=16), threads=5)
    told = threads.places(10 * HELD)
    assert max(told) == 6  # one waits, and that is seen
    assert sum(places < 5 for places in told) > 0.9 * len(told)
    assert min(told[10:]) == 3  # and most of what was found out is kept


def test_what_was_too_much_is_tried_again_only_after_a_while() -> None:
    threads = Threads(Room(most=16), threads=2)
    told = threads.places(5 + 2 * HELD)
    tried = [number for number, places in enumerate(told) if places == 3]
    assert tried[1] - tried[0] > HELD


def test_a_side_of_one_thread_is_asked_one_at_a_time() -> None:
    threads = Threads(Room(most=16), threads=1)
    told = threads.places(6 + HELD)
    assert set(told) == {1, 2}
    assert told.count(2) == 2  # at the start, and after a while


def test_a_side_that_becomes_slower_loses_the_most_of_its_room_and_is_learnt_anew() -> None:
    threads = Threads(Room(most=16), threads=100)
    threads.places(12)
    threads.takes *= 2
    assert 1 in threads.places(8)
    assert threads.places(HELD + 8)[-1] > 1  # what is slow for good is usual


def test_who_answers_no_more_is_asked_one_at_a_time() -> None:
    room = Room(most=16)
    Threads(room, threads=100).places(8)
    for _ in range(6 * ROUND):
        room.answered("list", None)
    assert room.places == 1


def test_who_never_answers_to_the_end_gets_no_more_room() -> None:
    room = Room(most=16)
    for _ in range(3 * ROUND):
        room.enter("list", NOW)
        room.answered("list", None)
        room.leave("list")
    assert room.places == 1


def test_there_is_no_more_room_where_nobody_needed_what_there_is() -> None:
    threads = Threads(Room(most=16), threads=100)
    threads.places(4)
    room, before = threads.room, threads.room.places
    while room.taken:
        room.leave("list")
    for _ in range(2 * ROUND):
        room.enter("list", NOW)
        room.answered("list", USUAL)
        room.leave("list")
    assert room.places - before <= 1  # the round in which it was full last


def test_a_route_of_which_nothing_is_known_is_learnt_one_at_a_time() -> None:
    threads = Threads(Room(most=16), threads=100)
    threads.places(6)
    threads.serve(ROUND, route="new")
    assert threads.room.places == 1
    threads.serve(threads.room.taken + ROUND + LEARNT, route="new")
    assert threads.room.places == 2


def test_each_route_is_held_against_itself() -> None:
    threads = Threads(Room(most=16), threads=100)
    for _ in range(8 * ROUND):
        for route, takes in (("quick", 0.01), ("slow", 1.0)):
            threads.takes = takes
            threads.serve(1, route)
    assert threads.room.places == 16


def test_answers_to_what_was_asked_when_there_was_more_are_no_news() -> None:
    room = Room(most=16)
    threads = Threads(room, threads=5)
    while room.places < 6:
        threads.serve(1)
    threads.serve(ROUND)  # six at once
    assert (room.places, room.taken) == (3, 5)
    for _ in range(5):  # which are late, too
        room.leave("list")
        room.answered("list", 9.0)
    assert threads.places(1) == [3]


# Those that nobody waits for any more


def given_up(room: Room, route: str = "list", *, at: float) -> float:
    """Ask, and wait for an answer no longer; how long the route is left alone."""
    room.enter(route, at)
    seconds = room.given_up(route, at)
    room.leave(route)
    return seconds


def test_a_question_that_is_given_up_keeps_its_place_for_as_long_as_users_are_waited_for() -> None:
    room = Room(most=16, waited={"list": 90.0})
    given_up(room, at=NOW)
    given_up(room, "another", at=NOW)
    assert (room.taken, room.free(NOW), room.free(NOW + WAITED)) == (0, False, False)
    assert not room.free(NOW + 89)
    assert room.free(NOW + 90)


def test_one_that_is_given_up_keeps_no_place_that_others_find() -> None:
    room = Room(most=16)
    Threads(room, threads=100).places(4)
    while room.taken:
        room.leave("list")
    places = room.places
    given_up(room, at=NOW)
    for _ in range(places - 1):
        assert room.free(NOW)
        room.enter("another", NOW)
    assert not room.free(NOW)


def test_a_route_is_left_alone_meanwhile_and_others_are_not() -> None:
    room = Room(most=16)
    assert given_up(room, at=NOW) == WAITED
    assert (room.paused("list", NOW), room.paused("another", NOW)) == (True, False)
    assert (room.paused("list", NOW + WAITED - 1), room.paused("list", NOW + WAITED)) == (True, False)


def test_the_next_one_that_is_given_up_has_it_left_alone_ten_times_as_long() -> None:
    room, now, pauses = Room(most=16), NOW, []
    for _ in range(5):
        pauses.append(given_up(room, at=now))
        now += pauses[-1]
    assert pauses == [WAITED, TENFOLD * WAITED, TENFOLD**2 * WAITED, LONGEST, LONGEST]
    assert given_up(Room(most=16, waited={"list": 2 * LONGEST}), at=NOW) == 2 * LONGEST


def test_those_that_were_asked_beside_it_tell_nothing_more() -> None:
    room = Room(most=16)
    assert [given_up(room, at=NOW + second) for second in range(3)] == [WAITED, 0.0, 0.0]
    assert given_up(room, at=NOW + WAITED) == TENFOLD * WAITED


def test_until_it_has_answered_again_and_again_a_route_is_asked_one_at_a_time() -> None:
    room = Room(most=16)
    assert not room.crowded("list")
    given_up(room, at=NOW)
    for _ in range(TRUSTED):
        assert not room.crowded("list")
        room.enter("list", NOW + WAITED)
        assert (room.crowded("list"), room.crowded("another")) == (True, False)
        room.replied("list")
        room.leave("list")
    room.enter("list", NOW + WAITED)
    assert not room.crowded("list")
    assert given_up(room, at=NOW + WAITED) == WAITED  # the first again


def test_one_answer_among_those_that_are_given_up_is_not_enough() -> None:
    room = Room(most=16)
    given_up(room, at=NOW)
    for _ in range(TRUSTED - 1):
        room.replied("list")
    assert given_up(room, at=NOW + WAITED) == TENFOLD * WAITED


def test_a_side_that_always_hangs_has_few_threads_taken() -> None:
    """Of those that are asked in a day, whatever there is to ask."""
    room, now, asked = Room(most=16), 0.0, 0
    while now < 24 * 3600:
        now += max(1.0, given_up(room, at=now))
        asked += 1
    assert asked < 30
