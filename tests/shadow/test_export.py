from __future__ import annotations

import ast
import os
import re
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
        self.body, self.status, self.word, self.ticks = body, 200, "", False
        self.defect: tuple[set[tuple[str, str]], bytes] = {("none", "")}, b""  # what who asks with these is told
        self.asked: list[tuple[str, str | None, str | None, str | None]] = []
        self.hosts: set[str | None] = set()
        self.headers: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/base/"


class _Handler(BaseHTTPRequestHandler):
    server: Side

    def do_GET(self) -> None:
        said = (self.headers[name] for name in ("accept", "authorization", "x-strangler-shadow"))
        self.server.asked.append((self.path, *said))
        self.server.hosts.add(self.headers["host"])
        given = {(name.lower(), value) for name, value in self.headers.items()}
        self.server.headers |= {name for name, _ in given}
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Strangler-Shadow", self.server.word)
        self.end_headers()
        needed, wrong = self.server.defect
        body = wrong if needed <= given else self.server.body
        self.wfile.write(body.replace(b"TICK", b"%d" % len(self.server.asked)) if self.server.ticks else body)

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
        assert before.returncode == 1
        assert "data.status: value; legacy has 'open', native 'OPEN'" in before.stdout
        native.body = right % 2
        after = run(test, tmp_path, settings)
        assert after.returncode == 0, after.stdout
        asked = ("/base/things/1?a=%2F", "application/json", "Bearer mine", "exported")
        assert set(legacy.asked) == set(native.asked) == {asked}
        assert len(legacy.asked) == 2 * len(native.asked) == 12  # five times while they differed, and once after
        assert legacy.hosts == native.hosts == {f"127.0.0.1:{legacy.server_port}"}
        run(test, tmp_path, {**settings, "HOST": "api.example.com"})
        assert "api.example.com" in legacy.hosts & native.hosts


async def test_a_field_in_which_the_control_differs_from_itself_keeps_no_test_from_passing(tmp_path: Path) -> None:
    test = export(await mismatch(FINDING), {})
    right, wrong = b'{"data":{"status":"open","at":TICK}}', b'{"data":{"status":"OPEN","at":9}}'
    with side(right) as legacy, side(wrong) as native:
        legacy.ticks = True
        settings = {"LEGACY_URL": legacy.url, "NATIVE_URL": native.url, "AUTHORIZATION": "Bearer mine"}
        before = run(test, tmp_path, settings)
        assert (before.returncode, "data.at" in before.stdout.partition("AssertionError")[2]) == (1, False)
        native.body = wrong.replace(b"OPEN", b"open")
        assert run(test, tmp_path, settings).returncode == 0
    noisy = export(await mismatch(replace(FINDING, differences=(Difference("data.at", Kind.VALUE, 1, 9),))), {})
    with side(right) as legacy, side(wrong.replace(b"OPEN", b"open")) as native:
        legacy.ticks = True
        settings = {"LEGACY_URL": legacy.url, "NATIVE_URL": native.url, "AUTHORIZATION": "Bearer mine"}
        assert "legacy differs from itself there" in run(noisy, tmp_path, settings).stdout


async def test_noise_of_more_fields_than_a_comparison_tells_hides_nothing_and_keeps_no_test_from_passing(
    tmp_path: Path,
) -> None:
    test = export(await mismatch(FINDING), {})
    noise = b",".join(b'"n%d":TICK' % number for number in range(120))
    right, wrong = (b'{"data":{"status":"%s"},"noise":{%s}}' % (word, noise) for word in (b"open", b"OPEN"))
    with side(right) as legacy, side(wrong) as native:
        legacy.ticks = native.ticks = True
        settings = {"LEGACY_URL": legacy.url, "NATIVE_URL": native.url, "AUTHORIZATION": "Bearer mine"}
        before = run(test, tmp_path, settings)
        assert (before.returncode, "data.status: value" in before.stdout) == (1, True)
        native.body = right
        after = run(test, tmp_path, settings)
        assert after.returncode == 0, after.stdout


async def test_every_header_that_opens_a_door_is_asked_for_and_what_the_answer_depends_on_is_sent() -> None:
    headers = [("X-Api-Key", "k1"), ("Accept-Encoding", "gzip, br"), ("X-Strangler-Signature", "t=1")]
    found = await mismatch(replace(FINDING, headers=headers))
    text = export(found, {}).text
    assert "VARIABLES = {'x-api-key': 'X_API_KEY'}" in text
    assert "X_API_KEY='…'" in text
    assert "('accept-encoding', 'gzip, br')" in text
    assert "k1" not in text


def loaded(found: Mismatch) -> Any:
    """The exported test, to be called here."""
    exported: dict[str, Any] = {"__name__": "exported"}
    exec(export(found, {}).text, exported)  # noqa: S102  # that it can be run is what it is for
    return exported["test_the_sides_agree"]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Tenant", "7")],
        [("Lang", "7"), ("Authorization", "Bearer 7")],
        [("User-Agent", "Mobile Safari")],
        [("Accept", "text/html"), ("Accept", "application/json")],
        [("Accept", "text/html; who=7@example.org")],
        [("X-Forwarded-Proto", "https")],
    ],
    ids=["a name alone", "as the environment names its own", "the browser", "twice", "redacted", "the scheme"],
)
async def test_a_defect_that_hangs_on_a_header_fails_its_test_until_it_is_mended(
    headers: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = loaded(await mismatch(replace(FINDING, headers=headers)))
    with side(b'{"data":{"status":"open"}}') as legacy, side(b'{"data":{"status":"open"}}') as native:
        native.defect = {(name.lower(), value) for name, value in headers}, b'{"data":{"status":"OPEN"}}'
        told = {"LEGACY_URL": legacy.url, "NATIVE_URL": native.url, "AUTHORIZATION": "Bearer 7", "LANG": "C.UTF-8"}
        told |= {"HEADER_X_TENANT": "7", "HEADER_LANG": "7", "HEADER_ACCEPT": "text/html; who=7@example.org"}
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(AssertionError, match=r"data\.status: value"):
            test()
        native.defect = {("none", "")}, b""
        test()
        asked = {"host", "x-strangler-shadow", *(name.lower() for name, _ in headers)}
        assert legacy.headers == native.headers == asked  # and nothing that a client adds by itself


async def test_a_header_of_which_the_name_alone_is_kept_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await mismatch(replace(FINDING, headers=[("X-Tenant", "hunter2")]))
    text = export(found, {}).text
    assert "HEADER_X_TENANT='…'" in text
    assert "the header x-tenant, as the request had it: of its value nothing is kept" in text
    assert "hunter2" not in text
    test = loaded(found)
    for name in ("LEGACY_URL", "NATIVE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(AssertionError, match="HEADER_X_TENANT is not set"):
        test()


async def test_without_its_settings_the_test_fails_and_says_which_is_missing() -> None:
    test = loaded(await mismatch(FINDING))
    with pytest.raises(AssertionError, match="LEGACY_URL is not set; the top of this file says what it is"):
        test()


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (FINDING.headers, "is AUTHORIZATION still good, and what was asked still there?"),
        ([], "is it still there?"),
    ],
    ids=["somebody", "nobody"],
)
async def test_that_both_answer_with_a_status_that_neither_had_proves_nothing(
    headers: list[tuple[str, str]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = loaded(await mismatch(replace(FINDING, headers=headers, candidate_status=404)))
    with side(b"{}") as legacy, side(b"{}") as native:
        for name, value in {"LEGACY_URL": legacy.url, "NATIVE_URL": native.url, "AUTHORIZATION": "Bearer old"}.items():
            monkeypatch.setenv(name, value)
        test()
        legacy.status = native.status = 404  # with which native alone was wrong
        with pytest.raises(AssertionError, match="both answer 404, which proves nothing"):
            test()
        legacy.status = native.status = 401
        with pytest.raises(AssertionError, match=re.escape(f"both answer 401, which proves nothing: {words}")):
            test()
        native.word = "refused"
        with pytest.raises(AssertionError, match="native answers no comparisons here"):
            test()


async def test_the_top_of_the_file_names_what_it_needs() -> None:
    named = ast.get_docstring(ast.parse(export(await mismatch(FINDING), {}).text))
    assert named is not None
    assert "LEGACY_URL=http://127.0.0.1:… NATIVE_URL=http://127.0.0.1:… AUTHORIZATION='Bearer …'" in named
    assert "COOKIE" not in named
    assert "where native listens; one in the proxy (native.app): `strangler handlers --listen …`" in named
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
