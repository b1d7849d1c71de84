"""Logs as another program reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

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
