from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from structlog.testing import capture_logs

from handlers import logs
from handlers.errors import Invalid, NotFound
from handlers.resources import Settings
from handlers.tokens import Caller
from tests.handlers.serving import AGENT, CREATE, bearer

Entry = dict[str, Any]


@pytest.fixture
def entries() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


@pytest.mark.parametrize(
    ("error", "level", "word", "status"),
    [
        (NotFound(), "warning", "not_found", 404),
        (HTTPException(405), "warning", "not_found", 404),
        (Invalid([("a", "b")]), "warning", "invalid_request", 400),
        (TimeoutError(), "error", "service_unavailable", 503),
        (KeyError(), "error", "internal_server_error", 500),
        (ClientDisconnect(), "info", "client_left", 499),
    ],
)
def test_a_callers_fault_is_a_warning_and_ours_an_error(
    error: Exception, level: str, word: str, status: int, entries: list[Entry]
) -> None:
    logs.write(error, {"request_id": "mine"})
    (entry,) = entries
    assert (entry["log_level"], entry["event"], entry["status"]) == (level, word, status)
    assert entry["request_id"] == "mine"
    assert ("exception" in entry) == (level == "error")


def test_a_request_is_told_by_what_it_asked_for_and_who_asked() -> None:
    scope = {
        "method": "GET",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"token=secret",
        "headers": [(b"x-strangler-shadow", b"1"), (b"authorization", b"Bearer secret")],
        "state": {"request_id": "mine", "caller": Caller(2, 1)},
    }
    assert logs.context(scope, 0.01234) == {
        "request_id": "mine",
        "method": "GET",
        "path": "/a%20b",
        "duration_ms": 12.3,
        "user_id": 2,
        "account_id": 1,
        "shadow": True,
    }


def test_a_server_that_keeps_no_raw_path_has_it_encoded_anew() -> None:
    scope = {"method": "GET", "path": "/é b", "headers": [], "state": {"request_id": "mine"}}
    assert logs.context(scope, 0)["path"] == "/%C3%A9%20b"


def test_a_trace_names_the_exception_and_shows_no_local_variables() -> None:
    def fail() -> None:
        token = " ".join(["held", "in a variable"])
        raise ValueError(len(token))

    with pytest.raises(ValueError, match="18") as caught:
        fail()
    trace = logs.traced(caught.value)
    assert "ValueError: 18" in trace
    assert "in fail" in trace
    assert "held in" not in trace


def test_a_trace_keeps_to_itself_the_row_that_postgresql_refused(database: psycopg.Connection) -> None:
    content = "\n".join(["what people", "write"])
    with pytest.raises(psycopg.errors.NotNullViolation) as caught:
        database.execute("insert into messages (content) values (%s)", [content])
    error = RuntimeError("around it")
    error.__cause__ = caught.value
    trace = logs.traced(error)
    assert "NotNullViolation" in trace
    assert content not in trace


async def test_every_failed_request_has_one_line_that_names_its_caller(
    client: httpx.AsyncClient, settings: Settings, entries: list[Entry]
) -> None:
    for path, headers in [("/api/v1/conversations/0?token=secret", {}), ("/nowhere", {"Authorization": ""})]:
        await client.get(path, headers={"X-Request-Id": "mine", **headers})
    await client.post(CREATE, json={}, headers={"X-Request-Id": "mine"})
    assert (await client.get("/api/v1/conversations", headers=bearer(settings))).status_code == 200
    caller = {"user_id": AGENT.user_id, "account_id": AGENT.account_id}
    for entry in entries:
        assert entry.pop("duration_ms") >= 0
    missing = {"event": "not_found", "log_level": "warning", "request_id": "mine", "status": 404, "method": "GET"}
    invalid = missing | {"event": "invalid_request", "status": 400, "method": "POST"}
    assert entries == [
        missing | caller | {"path": "/api/v1/conversations/0"},
        missing | {"path": "/nowhere"},
        invalid | caller | {"path": CREATE},
    ]


def said(script: str) -> list[Entry]:
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return [json.loads(line) for line in printed.stdout.splitlines()]


def test_alone_in_its_process_it_writes_json() -> None:
    (line,) = said(
        "from handlers import logs; logs.configure(); logs.write(KeyError('x'), {'request_id': 'mine', 'path': '/é'})"
    )
    assert (line["level"], line["event"], line["path"]) == ("error", "internal_server_error", "/é")
    assert line["timestamp"].endswith("Z")


def test_a_process_that_has_its_own_way_keeps_it() -> None:
    (line,) = said(
        "import structlog; from handlers import logs;"
        "structlog.configure(processors=[structlog.processors.JSONRenderer()]);"
        "logs.configure(); logs.write(KeyError(), {})"
    )
    assert "timestamp" not in line
