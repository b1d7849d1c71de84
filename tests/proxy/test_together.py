from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.decide import Decision, Reason
from flags.flag import Flag, Side, Trip
from flags.window import Outcome
from proxy.exchange import Exchange
from proxy.metrics import Metrics
from proxy.together import added, kept
from tests.proxy.process import PROCESS, without_process


def worker(asked: int, *, flag: Flag | None = None, connected: bool = True, tasks: int = 1) -> Metrics:
    """One that has answered so many requests."""
    metrics = Metrics(["read"])
    for _ in range(asked):
        decision = Decision(Side.LEGACY, False, Reason.SHARE)
        metrics.closed(Exchange("read", decision, 1, 0.5, 200, Side.LEGACY), Outcome.OK)
    states = {"store_connected": ("", lambda: connected), "tasks": ("", lambda: tasks)}
    metrics.watch(lambda: {"read": flag or Flag()}, dict, {}, states)
    return metrics


def value(exposition: bytes, series: str) -> float:
    (line,) = [line for line in exposition.decode().splitlines() if line.rpartition(" ")[0] == series]
    return float(line.rpartition(" ")[2])


REQUESTS = 'strangler_requests_total{outcome="ok",route="read",side="legacy"}'
BUCKET = 'strangler_request_seconds_bucket{le="0.5",route="read",side="legacy"}'


def test_what_workers_count_is_their_sum_and_reads_like_the_work_of_one() -> None:
    both = added([worker(2, tasks=0).exposition(), worker(3).exposition()])
    assert without_process(both) == without_process(worker(5).exposition())
    assert (value(both, REQUESTS), value(both, BUCKET)) == (5, 5)


def test_what_is_a_state_is_not_added() -> None:
    tripped = Flag(native=500, trip=Trip(1.0, "too many errors"))
    one, other = worker(0, flag=Flag(native=2500, shadow=10_000)), worker(0, flag=tripped, connected=False)
    both = added([one.exposition(), other.exposition()])
    assert value(both, 'strangler_share{route="read"}') == 0.25
    assert value(both, 'strangler_shadow_share{route="read"}') == 1
    assert value(both, 'strangler_tripped{route="read"}') == 1
    assert value(both, "strangler_store_connected") == 0
    assert value(both, "strangler_tasks") == 2


def process(**figures: float) -> bytes:
    """What a worker tells of its process."""
    kinds = {name: "counter" if name.endswith("_total") else "gauge" for name in figures}
    return "".join(f"# HELP {n} It\n# TYPE {n} {kinds[n]}\n{n} {figures[n]!r}\n" for n in figures).encode()


ONE = process(
    process_virtual_memory_bytes=1000.0,
    process_resident_memory_bytes=100.0,
    process_start_time_seconds=5.0,
    process_cpu_seconds_total=1.5,
    process_open_fds=30.0,
    process_max_fds=1024.0,
)
OTHER = process(
    process_virtual_memory_bytes=2000.0,
    process_resident_memory_bytes=300.0,
    process_start_time_seconds=7.0,
    process_cpu_seconds_total=0.25,
    process_open_fds=20.0,
    process_max_fds=4096.0,
)


def test_what_processes_use_is_added_but_for_open_files_whose_limit_is_each_ones_own() -> None:
    both = added([ONE, OTHER])
    assert {name: value(both, name) for name in PROCESS} == {
        "process_virtual_memory_bytes": 3000,
        "process_resident_memory_bytes": 400,
        "process_start_time_seconds": 5,
        "process_cpu_seconds_total": 1.75,
        "process_open_fds": 30,
        "process_max_fds": 1024,
    }


def test_of_a_process_that_has_ended_its_processor_time_stays() -> None:
    assert kept(ONE) == process(process_cpu_seconds_total=1.5)


def test_of_one_that_has_ended_the_counts_stay_and_the_states_go() -> None:
    left = kept(worker(3).exposition())
    assert value(left, REQUESTS) == 3
    assert b"store_connected" not in left
    assert b"strangler_tasks" not in left
    assert value(added([worker(2).exposition(), left]), REQUESTS) == 5


def test_what_only_one_has_counted_stands_with_its_family() -> None:
    rare = worker(0)
    rare.answers.labels("read", "legacy", "418").inc()
    lines = added([worker(1).exposition(), rare.exposition()]).decode().splitlines()
    position = lines.index('strangler_answers_total{route="read",side="legacy",status="418"} 1.0')
    heads = [line for line in lines[:position] if line.startswith("# TYPE")]
    assert heads[-1] == "# TYPE strangler_answers_total counter"


@pytest.mark.parametrize("value", ["a b", 'a"b', "a\\b", "a\nb", "# HELP"])
def test_a_label_may_say_anything(value: str) -> None:
    one = Metrics([value])
    one.fallbacks.labels(value).inc()
    both = without_process(added([one.exposition(), one.exposition()]))
    assert sum(line.endswith(" 2.0") for line in both) == 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_leaving_out_what_is_0_changes_no_sum(asked: list[int]) -> None:
    first, *others = [worker(number) for number in asked]
    whole = added([first.exposition(), *(other.exposition() for other in others)])
    short = added([first.exposition(), *(other.counted() for other in others)])
    assert without_process(short) == without_process(whole)


def test_nothing_added_is_nothing() -> None:
    assert added([]) == added([b"", b""]) == kept(b"") == b""
