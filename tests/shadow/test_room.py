from __future__ import annotations

from shadow.room import HELD, LEARNT, ROUND, Room

USUAL = 0.1


class Threads:
    """A side of so many threads, each of which takes `takes` seconds: who finds none waits for one."""

    def __init__(self, room: Room, threads: int, takes: float = USUAL) -> None:
        self.room, self.threads, self.takes = room, threads, takes

    def serve(self, answers: int, route: str = "list") -> None:
        """Keep the room full while so many are answered."""
        for _ in range(answers):
            while self.room.free:
                self.room.enter()
            seconds = self.takes * max(1.0, self.room.taken / self.threads)
            self.room.leave()
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
        room.enter()
        room.answered("list", None)
        room.leave()
    assert room.places == 1


def test_there_is_no_more_room_where_nobody_needed_what_there_is() -> None:
    threads = Threads(Room(most=16), threads=100)
    threads.places(4)
    room, before = threads.room, threads.room.places
    while room.taken:
        room.leave()
    for _ in range(2 * ROUND):
        room.enter()
        room.answered("list", USUAL)
        room.leave()
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
        room.leave()
        room.answered("list", 9.0)
    assert threads.places(1) == [3]
