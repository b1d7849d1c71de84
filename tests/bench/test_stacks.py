from __future__ import annotations

from bench.profile.stacks import LOOP, by_file, by_function, by_line, markdown, parsed

RAW = """\
run (asyncio/runners.py:118) 10
run (asyncio/runners.py:118);Front.data_received (proxy/front.py:70) 20
run (asyncio/runners.py:118);Front.data_received (proxy/front.py:71);in_ (routes.py:9);in_ (routes.py:12) 70
"""


def test_a_sample_counts_for_the_file_that_was_at_work() -> None:
    assert by_file(parsed(RAW)) == {LOOP: 10, "proxy/front.py": 20, "routes.py": 70}


def test_only_the_thread_of_the_loop_is_looked_at() -> None:
    asleep = "Thread._bootstrap (threading.py:995);Condition.wait (threading.py:324) 55\n"
    assert parsed(RAW + asleep) == parsed(RAW)


def test_lines_of_one_function_are_told_apart() -> None:
    assert by_line(parsed(RAW))["in_ (routes.py:12)"] == 70


def test_a_sample_counts_once_for_every_function_that_waited_for_it() -> None:
    assert by_function(parsed(RAW)) == {
        f"run ({LOOP})": 100,
        "Front.data_received (proxy/front.py)": 90,
        "in_ (routes.py)": 70,
    }


def test_a_table_leaves_out_what_is_always_there_and_what_hardly_is() -> None:
    assert markdown("function", by_function(parsed(RAW)), 100, 50.0, 0.8).splitlines() == [
        "| function | part | µs |",
        "|---|---:|---:|",
        "| Front.data_received (proxy/front.py) | 90.0% | 45.0 |",
    ]
