from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay.lines import access, described, record
from proxy.replay.question import Reason, Recorded, Skipped

COMBINED = (
    '10.0.0.7 - anna [10/Oct/2000:13:55:36 -0700] "{}" 200 2326 "https://app.example.com/" "Mozilla/5.0 (\\"X\\")"'
)
LOGGED = {"request_id": "r1", "method": "GET", "path": "/users/7", "status": 200, "event": "request", "level": "info"}


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (COMBINED.format("GET /users/7?full=1 HTTP/1.1"), "/users/7?full=1"),
        ('10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET /users/7 HTTP/1.0" 200 2326', "/users/7"),
        ('api.example.com:443 ::1 - - [10/Oct/2000:13:55:36 -0700] "GET /users HTTP/2.0" 200 1 "-" "-"', "/users"),
        ('10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET http://api.example.com/users HTTP/1.1" 200 1', None),
        ('10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a\\"b HTTP/1.1" 400 1', '/a"b'),
        ('10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a\\xc3\\xa9 HTTP/1.1" 200 1 "-" "-" 0.003', "/a\xc3\xa9"),
    ],
)
def test_lines_of_nginx_and_apache_are_read_common_and_combined_ones(line: str, target: str | None) -> None:
    found = access(3, line)
    assert isinstance(found, Recorded)
    assert (found.number, found.method, found.target) == (3, "GET", target or "http://api.example.com/users")


def test_the_browser_is_told_as_the_log_has_it() -> None:
    found = access(1, COMBINED.format("GET / HTTP/1.1"))
    assert isinstance(found, Recorded)
    assert found.headers == (("user-agent", 'Mozilla/5.0 ("X")'),)


@pytest.mark.parametrize(
    "request_line", ["-", "", "\\x16\\x03\\x01\\x02", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 x"]
)
def test_what_a_client_sent_that_is_no_request_over_http_is_passed_over(request_line: str) -> None:
    assert access(7, COMBINED.format(request_line)) == Skipped(7, Reason.NOT_HTTP)


@pytest.mark.parametrize(
    "line", ["junk", '10.0.0.7 "GET / HTTP/1.1" 200', '[10/Oct] "GET / HTTP/1.1', "[[[[", '"' * 50]
)
def test_a_line_that_is_none_of_a_log_is_malformed(line: str) -> None:
    assert access(7, line) == Skipped(7, Reason.MALFORMED)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (LOGGED, Recorded(1, "GET", "/users/7")),
        ({"method": "GET", "target": "/users?a=1"}, Recorded(1, "GET", "/users?a=1")),
        (
            {"method": "HEAD", "target": "/", "headers": {"Accept": "*/*"}},
            Recorded(1, "HEAD", "/", (("Accept", "*/*"),)),
        ),
        (
            {"method": "GET", "target": "/", "headers": [["a", "1"], ["a", "2"]]},
            Recorded(1, "GET", "/", (("a", "1"), ("a", "2"))),
        ),
        ({**LOGGED, "event": "flag changed"}, Skipped(1, Reason.NOT_HTTP)),
        ({"event": "worker started"}, Skipped(1, Reason.NOT_HTTP)),
        *(
            (told, Skipped(1, Reason.MALFORMED))
            for told in (
                *({"method": "GET"}, {"target": "/"}, {"method": 1, "target": "/"}, {"method": "GET", "target": ["/"]}),
                *([1, 2], "GET /", None, 17, {}),
                *(
                    {"method": "GET", "target": "/", "headers": headers}
                    for headers in (None, 1, "a: b", {"a": 1}, [["a"]])
                ),
            )
        ),
    ],
)
def test_a_line_of_json_is_a_recorded_request_or_one_that_the_proxy_logged(told: object, wanted: object) -> None:
    assert record(1, json.dumps(told)) == wanted


@pytest.mark.parametrize("line", ["", "{", "{]", '{"method": "GET", "target": "/"', "[" * 100_000, "nonsense"])
def test_a_line_that_is_no_json_is_malformed(line: str) -> None:
    assert record(9, line) == Skipped(9, Reason.MALFORMED)


@given(st.text(alphabet=st.sampled_from('[]"\\ xGET/HTP1.0-é\x00\x16')) | st.text(), st.integers(1))
def test_no_line_of_a_log_makes_its_reader_fall_over(line: str, number: int) -> None:
    assert access(number, line).number == number


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["method", "target", "path", "headers", "event"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=8,
)


@given(JSON, st.integers(1))
def test_no_value_of_json_does(told: object, number: int) -> None:
    assert described(number, told).number == number
    assert record(number, json.dumps(told)).number == number


@pytest.mark.parametrize(
    "line", ["[" * 60_000, "a[" + '"' * 60_000, 'a [x] "' + "\\" * 60_001, 'a [x] "' + "G" * 60_000]
)
def test_a_long_line_costs_no_more_than_its_length(line: str) -> None:
    """Where a pattern looked twice, these would take minutes."""
    began = time.process_time()
    access(1, line)
    assert time.process_time() - began < 2
