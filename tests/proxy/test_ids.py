from __future__ import annotations

import multiprocessing
import re

from proxy.ids import new_ids


def test_ids_are_what_every_side_keeps_as_they_are_and_differ() -> None:
    drawn = [new_ids() for _ in range(1000)]
    assert len({request for request, _ in drawn}) == len({trace for _, trace in drawn}) == 1000
    for request, trace in drawn:
        assert re.fullmatch("[0-9a-f]{32}", request)
        assert re.fullmatch(f"00-{request}-[0-9a-f]{{16}}-01".encode(), trace)


def test_a_forked_process_draws_ids_of_its_own() -> None:
    new_ids()  # the parent has drawn in bulk, and the child inherits what is left
    with multiprocessing.get_context("fork").Pool(1) as child:
        theirs = child.apply(_ten)
    assert set(theirs).isdisjoint(_ten())


def _ten() -> list[tuple[str, bytes]]:
    return [new_ids() for _ in range(10)]
