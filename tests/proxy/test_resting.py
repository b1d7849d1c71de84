from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.resting import Resting

SENDS: Callable[[Resting], None] = lambda resting: resting.sends(True)  # noqa: E731  # a table of steps
WAITS: Callable[[Resting], None] = lambda resting: resting.sends(False)  # noqa: E731  # as above
BEGINS, OVER = Resting.begins, Resting.over


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((WAITS, OVER), []),
        ((SENDS, SENDS, WAITS, SENDS, WAITS, OVER), [True, False, True, False]),
        ((BEGINS, BEGINS, OVER), [True, False]),
        ((SENDS, BEGINS, WAITS, SENDS, WAITS, OVER), [True, False]),
        ((SENDS, OVER, SENDS, WAITS, BEGINS), [True, False]),
    ],
    ids=["never", "an upload in pieces", "an answer in pieces", "an answer amid the upload", "heard of too late"],
)
def test_what_changes_is_told_once_and_ends_as_it_began(
    steps: tuple[Callable[[Resting], None], ...], told: list[bool]
) -> None:
    heard: list[bool] = []
    resting = Resting(heard.append)
    for step in steps:
        step(resting)
    assert heard == told
