from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from shadow.compare import Difference, Kind
from shadow.export import Exported, NotRepeatable, export
from shadow.journal import MemoryJournal
from shadow.mismatch import Finding, Mismatch
from shadow.rules import Tolerance

ROOT = Path(__file__).parent.parent.parent
FINDING = Finding(
    at=1.5,
    route="things.show",
    method="GET",
    target="/things/1?a=%2F",
    headers=[("Accept", "application/json"), ("Authorization", "Bearer x")],
    has_body=False,
    request_id="r",
    control_side="legacy",
    candidate_side="native",
    control_status=200,
    candidate_status=200,
    differences=(Difference("data.status", Kind.VALUE, "open", "OPEN"),),
)


async def mismatch(*findings: Finding) -> Mismatch:
    """What the journal has of them."""
    journal = MemoryJournal()
    for finding in findings:
        await journal.record(finding)
    (listed,) = await journal.latest(1)
    found = await journal.find(listed.id)
    assert found is not None
    return found


class Side(ThreadingHTTPServer):
    """Answers all with one body, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.asked: list[tuple[str, str | None, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/base/"


class _Handler(BaseHTTPRequestHandler):
    server: Side

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["accept"], self.headers["authorization"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *said: object) -> None:
        """Nothing: what was asked is remembered."""


@contextmanager
def side(body: bytes) -> Iterator[Side]:
    with Side(body) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def run(test: Exported, directory: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As whoever has the file runs it, with other variables than ours."""
    path = directory / test.name
    path.write_text(test.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", path]
    environment = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **settings}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


async def test_the_exported_test_fails_until_the_sides_agree_by_the_rules(tmp_path: Path) -> None:
    test = export(await mismatch(FINDING), {"ignore": ("data.at",)})
    right, wrong = b'{"data":{"status":"open","at":%d}}', b'{"data":{"status":"OPEN","at":%d}}'
    with side(right % 1) as legacy, side(wrong % 2) as native:
        settings = {"LEGACY_URL": legacy.url, "NATIVE_URL": native.url, "AUTHORIZATION": "Bearer mine"}
        before = run(test, tmp_path, settings)
        assert (before.returncode, "data.status" in before.stdout) == (1, True), before.stdout
        native.body = right % 2
        after = run(test, tmp_path, settings)
        assert after.returncode == 0, after.stdout
        asked = ("/base/things/1?a=%2F", "application/json", "Bearer mine")
        assert legacy.asked == native.asked == [asked, asked]


async def test_without_its_settings_the_test_fails_and_says_which_is_missing() -> None:
    exported: dict[str, Any] = {"__name__": "exported"}
    exec(export(await mismatch(FINDING), {}).text, exported)  # noqa: S102  # that it can be run is what it is for
    with pytest.raises(AssertionError, match="LEGACY_URL is not set; the top of this file says what it is"):
        exported["test_the_sides_agree"]()


async def test_the_top_of_the_file_names_what_it_needs() -> None:
    named = ast.get_docstring(ast.parse(export(await mismatch(FINDING), {}).text))
    assert named is not None
    assert "LEGACY_URL=http://127.0.0.1:… NATIVE_URL=http://127.0.0.1:… AUTHORIZATION='Bearer …'" in named
    assert "COOKIE" not in named
    nobodys = export(await mismatch(replace(FINDING, headers=[])), {}).text
    assert "AUTHORIZATION" not in nobodys


async def test_the_newest_request_that_is_whole_is_asked() -> None:
    secret = replace(FINDING, target="/things/2?token=hunter2")
    text = export(await mismatch(FINDING, replace(FINDING, target="/things/3"), secret), {}).text
    assert "'/things/3'" in text
    with pytest.raises(NotRepeatable, match="can be asked again"):
        export(await mismatch(secret), {})


async def test_nothing_from_outside_is_code_in_the_file() -> None:
    evil = '/"""\nimport os\n"""\'+os.system("x")+\'{sides}'
    found = await mismatch(
        replace(
            FINDING,
            target=evil.replace("\n", ""),
            headers=[("Accept", evil)],
            differences=(Difference(f'a["{evil}"]', Kind.VALUE, 1, 2),),
        )
    )
    found = replace(found, samples=tuple(replace(each, repeatable=True) for each in found.samples))
    tree = ast.parse(export(found, {"ignore": (evil,)}).text)
    imported = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert imported == ["import http.client", "import os"]
    assert "system" not in {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ({}, "RULES = Rules.parse()"),
        ({"ignore": ("a", "b"), "headers": None}, "RULES = Rules.parse(ignore=('a', 'b'))"),
        (
            {"rules": [("a[*]", Tolerance("tolerance a[*]", absolute=Decimal("0.10")))]},
            "RULES = Rules.parse(rules=[('a[*]', Tolerance(name='tolerance a[*]', absolute=Decimal('0.10')))])",
        ),
    ],
)
async def test_the_rules_are_written_as_people_read_them_and_can_be_read_again(
    written: Mapping[str, Any], line: str
) -> None:
    text = export(await mismatch(FINDING), written).text
    assert line in text.splitlines()
    exec(text, {"__name__": "exported"})  # noqa: S102  # what it imports is there
