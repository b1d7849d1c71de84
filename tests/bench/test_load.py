from __future__ import annotations

from bench.load import command, parsed

SAID = """Running 1s test @ http://127.0.0.1:1/
  4 requests in 2.00s, 2.00KB read
{"seconds": 2.0, "requests": 4, "p50": 1.0, "p90": 2.0, "p99": 3.0, "slowest": 4.0, "refused": 1, "broken": 2, \
"late": 3, "wrong": 4}
"""


def test_the_last_line_of_what_wrk_says_is_the_run() -> None:
    run = parsed(SAID)
    assert (run.rate, run.errors, run.p99) == (2.0, 10, 3.0)


def test_wrk_runs_on_its_core_with_the_headers_of_the_request() -> None:
    said = command("http://127.0.0.1:1/", connections=32, seconds=3, core=1, headers={"Accept": "*/*"})
    assert said[:4] == ["taskset", "--cpu-list", "1", "wrk"]
    assert said[-3:] == ["--header", "Accept: */*", "http://127.0.0.1:1/"]
