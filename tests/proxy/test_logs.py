"""Logs as another program reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st

from flags.decide import Decision, Reason
from flags.flag import Side
from proxy.exchange import Exchange
from proxy.logs import AccessLog

PREPARED = "import structlog; from proxy.logs import configure; configure(); log = structlog.get_logger();"
FAILING = """
def handle(request):
    authorization = "Bearer " + request
    raise ValueError("no such thing")
try:
    handle("tok" + "en-of-somebody")
except ValueError as error:
    log.error("native raised", exc_info=error, request_id="abc")
"""


def logged(program: str) -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", PREPARED + program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_record_is_one_line_of_json_with_level_and_time() -> None:
    first, second = logged("log.info('request', path='/a\\nb', status=200); log.warning('tripped')")
    assert (first["event"], first["level"], first["path"], first["status"]) == ("request", "info", "/a\nb", 200)
    assert first["timestamp"].endswith("Z")
    assert second["level"] == "warning"


def test_what_helps_only_developers_is_left_out() -> None:
    assert logged("log.debug('detail')") == []
    assert logged("import logging; logging.getLogger('uvicorn.error').error('again')") == []


def test_an_exception_is_told_with_its_place_but_without_the_values_of_the_request() -> None:
    (record,) = logged(FAILING)
    (fault,) = record["exception"]
    assert (fault["exc_type"], fault["exc_value"]) == ("ValueError", "no such thing")
    assert [frame["name"] for frame in fault["frames"]] == ["<module>", "handle"]
    assert record["request_id"] == "abc"
    assert "token-of-somebody" not in json.dumps(record)


SERVED = Exchange(
    "read", Decision(Side.NATIVE, False, Reason.TRIPPED), 1, 0.0123, 200, Side.LEGACY, "timeout", left=True
)
BY_STRUCTLOG = """
log.info("request", request_id="r-1", client="10.0.0.9", method="GET", path="/a%20b", status=200, route="read",
         side="native", reason="tripped", asked_last="legacy", failure="timeout", withheld=None,
         left=True, ms=12.3)
"""


def recorded(target: bytes = b"/a", exchange: Exchange = SERVED, request_id: str = "r-1") -> dict[str, Any]:
    lines: list[str] = []
    AccessLog(lines.append, now=lambda: 1_767_323_045.5).record(request_id, "10.0.0.9", "GET", target, exchange)
    [line] = lines
    assert line.endswith("}\n")
    record: dict[str, Any] = json.loads(line)
    return record


def test_a_request_s_record_has_the_form_of_all_records() -> None:
    [expected] = logged(BY_STRUCTLOG)
    record = recorded(b"/a%20b")
    assert record.pop("timestamp") == "2026-01-02T03:04:05.500000Z"
    assert len(expected.pop("timestamp")) == len("2026-01-02T03:04:05.500000Z")
    assert list(record.items()) == list(expected.items())


def test_a_request_s_record_says_nothing_of_its_query() -> None:
    assert recorded(b"/a?token=secret")["path"] == "/a"


def test_a_request_that_legacy_was_not_asked_says_why() -> None:
    assert recorded(exchange=replace(SERVED, asked_last=Side.NATIVE, withheld="ambiguous"))["withheld"] == "ambiguous"


def test_a_request_that_did_not_fail_has_no_failure() -> None:
    record = recorded(exchange=replace(SERVED, failure=None, left=False))
    assert (record["failure"], record["left"]) == (None, False)


@given(st.binary(), st.text())
def test_whatever_a_client_sends_is_one_record(target: bytes, request_id: str) -> None:
    record = recorded(target, request_id=request_id)
    assert record["path"] == target.partition(b"?")[0].decode("latin-1")
    assert record["request_id"] == request_id


def test_what_is_bound_for_all_records_is_in_those_of_requests() -> None:
    with structlog.contextvars.bound_contextvars(worker=3):
        assert next(iter(recorded().items())) == ("worker", 3)


def test_records_of_requests_are_written_by_the_end_of_the_process() -> None:
    program = """
from flags.decide import Decision, Reason
from flags.flag import Side
from proxy.exchange import Exchange
from proxy.logs import AccessLog
exchange = Exchange("read", Decision(Side.LEGACY, False, Reason.SHARE), 1, 0.5, 200, Side.LEGACY)
access = AccessLog()
for number in range(1000):
    access.record(str(number), "10.0.0.9", "GET", b"/", exchange)
log.warning("tripped")
"""
    records = logged(program)
    assert [record.get("request_id") for record in records] == [*map(str, range(1000)), None]


FORCED = replace(SERVED, decision=Decision(Side.NATIVE, False, Reason.FORCED, forced_by="anna"))


def test_who_demanded_a_side_is_in_the_record_and_nobody_else_is() -> None:
    record = recorded(exchange=FORCED)
    assert (record["reason"], record["forced_by"]) == ("forced", "anna")
    assert "forced_by" not in recorded()


def test_what_failed_and_what_somebody_demanded_a_side_for_is_recorded_where_nothing_else_is() -> None:
    lines: list[str] = []
    access = AccessLog(lines.append)
    for exchange in (SERVED, replace(SERVED, failure=None), FORCED, replace(FORCED, failure=None)):
        access.record_in_any_case("r-1", "10.0.0.9", "GET", b"/a", exchange)
    records = [json.loads(line) for line in lines]
    assert [(record["failure"], record.get("forced_by")) for record in records] == [
        ("timeout", None),
        ("timeout", "anna"),
        (None, "anna"),
    ]


URGENT = "from proxy.logs import OUTPUT, log_in_any_case;"


def test_what_must_be_said_in_any_case_is_a_record_as_any_other() -> None:
    [record] = logged(URGENT + "structlog.contextvars.bind_contextvars(worker=2); log_in_any_case('still', stack='s')")
    assert (record["event"], record["level"], record["worker"], record["stack"]) == ("still", "error", 2, "s")


def test_who_stands_still_with_a_lock_of_the_log_keeps_nobody_from_saying_so() -> None:
    program = PREPARED + URGENT + "OUTPUT._lock.acquire(); log_in_any_case('still', 0.05, stack='s'); OUTPUT.close(0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr.splitlines()[0]) == {"stack": "s", "event": "still", "level": "error"}
