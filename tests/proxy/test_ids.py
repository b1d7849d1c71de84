from __future__ import annotations

import multiprocessing
import re

from proxy.ids import new_request_id, new_trace


def test_request_ids_are_what_every_side_keeps_as_it_is_and_differ() -> None:
    drawn = [new_request_id() for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in drawn)


def test_traces_are_well_formed_and_differ() -> None:
    drawn = [new_trace() for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert all(re.fullmatch(b"00-[0-9a-f]{32}-[0-9a-f]{16}-01", each) for each in drawn)


def test_a_forked_process_draws_ids_of_its_own() -> None:
    new_request_id()  # the parent has drawn in bulk, and the child inherits what is left
    with multiprocessing.get_context("fork").Pool(1) as child:
        theirs = child.apply(_ten)
    assert set(theirs).isdisjoint(_ten())


def _ten() -> list[str]:
    return [new_request_id() for _ in range(10)]
