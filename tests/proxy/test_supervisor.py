"""What the supervisor decides by itself; what it does with real workers is in tests/e2e/test_workers.py."""

from __future__ import annotations

from proxy.child import ending
from proxy.supervisor import LONGEST, SHORTEST, pause


def test_a_worker_that_has_lived_is_replaced_at_once() -> None:
    assert pause(0) == 0


def test_one_that_keeps_dying_young_is_replaced_more_and_more_slowly_up_to_a_bound() -> None:
    pauses = [pause(deaths) for deaths in range(1, 10_000)]
    assert pauses[0] == SHORTEST
    assert pauses[1] == 2 * SHORTEST
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST


def test_an_end_is_told_in_words() -> None:
    assert ending(-9) == "signal SIGKILL"
    assert ending(2) == "exit code 2"
