"""`strangler replay` as it is typed, before real servers."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from demo.service import LOOPBACK, free_port
from proxy.config import load
from proxy.replay.asking import Manner
from proxy.replay.pace import Pace
from proxy.replay.session import SideDown, choice_of
from proxy.replay.session import replay as replayed
from proxy.replay.source import Source
from proxy.replay_command import LINES, logged_apart
from tests.e2e.proxies import ROOT, STRANGLER, Told, environment, strangler

DONE, REFUSED, WRONG = 0, 1, 2
ACCESS = '10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "{} HTTP/1.1" 200 2326 "-" "-"\n'
FEW = "".join(map(ACCESS.format, ("GET /things?a=1", "GET /things/7", "POST /things", "GET /elsewhere"))) + "junk\n"


class Server(ThreadingHTTPServer):
    """Says the same of everything, and knows what it was asked."""

    def __init__(self, told: Any) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.body = json.dumps(told).encode()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.was_asked = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.was_asked.set()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Legacy, a native that is like it, and one that is not."""
    running = [Server({"id": 7}), Server({"id": 7}), Server({"id": "7"})]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in running]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        for server, thread in zip(running, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(FEW)
    return path


def configured(directory: Path, legacy: str, native: dict[str, str] | None, **more: Any) -> Path:
    path = directory / "config.yaml"
    routes = [{"name": "things.list", "match": "GET /things"}, {"name": "things.show", "match": "GET /things/{id}"}]
    sides = {"legacy": {"url": legacy}, **({} if native is None else {"native": native})}
    path.write_text(yaml.safe_dump({**sides, "routes": routes, "shadow": {"noise": "0%"}, **more}))
    return path


def replay(config: Path, *arguments: str | Path) -> Told:
    return strangler("replay", "--config", config, "--rate", "500/s", *arguments)


def test_sides_that_agree_are_done(servers: list[Server], file: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    told = replay(config, file)
    assert (told.code, told.err) == (DONE, "")
    assert told.out.startswith("2 asked of both sides in ")
    assert "1        no route of the configuration matches it" in told.out
    assert "The first that cannot be read: 5." in told.out
    for server in servers[:2]:
        assert sorted(path for path, _ in server.asked) == ["/things/7", "/things?a=1"]
        assert {given["host"] for _, given in server.asked} == {servers[0].url.removeprefix("http://")}
        assert all(given["x-strangler-shadow"] for _, given in server.asked)


def test_sides_that_differ_fail_unless_that_much_may_and_programs_are_told_the_same(
    servers: list[Server], file: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[2].url})
    told = replay(config, file, "--json")
    assert told.code == REFUSED
    found = told.json
    assert (found["file"], found["format"], found["passed"], found["stopped"]) == (str(file), "log", False, None)
    assert (found["asked"], found["compared"], found["skipped"]) == (2, 2, {"unsafe": 1, "no_route": 1, "malformed": 1})
    fields = {(each["route"], each["field"], each["kind"], each["confirmed"]) for each in found["mismatches"]}
    assert fields == {("things.list", "id", "type", True), ("things.show", "id", "type", True)}
    assert replay(config, file, "--fail-over", "100%").code == DONE


def test_only_what_is_named_is_asked(servers: list[Server], file: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    found = replay(config, file, "--route", "things.show", "--json").json
    assert [route["route"] for route in found["routes"]] == ["things.show"]
    assert found["skipped"]["other_route"] == 1
    assert replay(config, file, "--limit", "1", "--json").json["asked"] == 1


def test_headers_come_from_the_command_and_its_files_and_so_does_the_host(
    servers: list[Server], tmp_path: Path
) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    recorded, given = tmp_path / "recorded.jsonl", tmp_path / "headers"
    asked = {"method": "GET", "target": "https://API.example.com/things", "headers": {"Cookie": "a=1", "Accept": "x/y"}}
    other = {**asked, "target": "https://tracker.example.com/things"}
    recorded.write_text(f"{json.dumps(asked)}\n{json.dumps(other)}\n")
    given.write_text("Authorization: Bearer t\n\nX-Forwarded-For: 10.9.8.7\n")
    told = replay(config, recorded, "--header", "accept: */*", "--header", f"@{given}", "--host", "api.example.com")
    assert told.code == DONE
    for server in servers[:2]:
        ((_, headers),) = server.asked
        assert (headers["accept"], headers["authorization"], headers["host"]) == ("*/*", "Bearer t", "api.example.com")
        assert headers["x-forwarded-for"] == "10.9.8.7, 127.0.0.1"
        assert headers["x-forwarded-proto"] == "https"
        assert "cookie" not in headers
    assert replay(config, recorded, "--send-credentials").code == DONE
    assert servers[1].asked[-1][1]["cookie"] == "a=1"


def test_what_showed_a_mismatch_is_asked_with_all_its_headers_or_not_at_all(
    servers: list[Server], tmp_path: Path
) -> None:
    config, file = configured(tmp_path, servers[0].url, {"url": servers[1].url}), tmp_path / "shown.json"
    names = {"credentials": ["authorization"], "others": ["x-tenant"], "headers": [["x-forwarded-proto", "https"]]}
    file.write_text(json.dumps({"id": "0", "samples": [{"method": "GET", "target": "/things/7", **names}]}))
    told = replay(config, file, "--header", "Authorization: Bearer t")
    assert (told.code, servers[0].asked) == (REFUSED, [])
    assert "of headers that it had the names alone are kept; --header tells their values" in told.out
    assert replay(config, file, "--header", "Authorization: Bearer t", "--header", "X-Tenant: 7").code == DONE
    for server in servers[:2]:
        ((_, headers),) = server.asked
        assert (headers["authorization"], headers["x-tenant"]) == ("Bearer t", "7")
        assert headers["x-forwarded-proto"] == "https"


def test_native_in_this_process_is_started_and_asked(servers: list[Server], file: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, servers[0].url, {"app": "tests.e2e.sides:deployable"})
    found = replay(config, file, "--json").json
    fields = {(each["field"], each["kind"]) for each in found["mismatches"]}
    assert {("id", "missing"), ("side", "extra")} <= fields


@pytest.mark.parametrize("down", ["legacy", "native"])
def test_a_side_that_is_down_is_named_and_nobody_is_asked(
    down: str, servers: list[Server], file: Path, tmp_path: Path
) -> None:
    nowhere = f"http://{LOOPBACK}:{free_port()}"
    urls = {"legacy": servers[0].url, "native": servers[1].url, down: nowhere}
    told = replay(configured(tmp_path, urls["legacy"], {"url": urls["native"]}), file)
    assert (told.code, told.out) == (REFUSED, "")
    assert told.err.startswith(f"strangler: {down} is down, so neither side was asked anything: no connection to ")
    assert servers[0].asked == servers[1].asked == []


async def test_native_in_this_process_that_does_not_start_is_waited_for_only_so_long(
    servers: list[Server], file: Path, tmp_path: Path
) -> None:
    path = configured(tmp_path, servers[0].url, {"app": "tests.proxy.test_replay_command:never_ready"})
    config = load(path, {})
    manner = Manner(Pace(100.0), 1, b"localhost")
    choice = choice_of(config, frozenset(), None, send_credentials=False)
    with Source(str(file)) as source, pytest.raises(SideDown, match="native did not start within"):
        await replayed(config, source, choice, manner, journal=False, on_asking=print, starts_within=0.1)
    assert servers[0].asked == []


async def never_ready(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere.log"], "/nowhere.log: it cannot be read: No such file"),
        (["{file}", "--format", "pcap"], "invalid choice"),
        (["{file}", "--format", "har"], "no log.entries"),
        (["{file}", "--route", "things.hide"], "has no route things.hide"),
        (["{file}", "--rate", "20"], "is no rate"),
        (["{file}", "--rate", "0/s"], "is no rate"),
        (["{file}", "--concurrency", "0"], "not a number above 0"),
        (["{file}", "--concurrency", "257"], "more than 256"),
        (["{file}", "--limit", "0"], "not a number above 0"),
        (["{file}", "--fail-over", "5"], "has no unit"),
        (["{file}", "--host", "a b"], "is no host"),
        (["{file}", "--host", "é"], "is no host"),
        (["{file}", "--header", "Authorization"], "a header is written like"),
        (["{file}", "--header", "a b: c"], "a header is written like"),
        (["{file}", "--header", "Host: x"], "Host cannot be set"),
        (["{file}", "--header", "Content-Length: 5"], "Content-Length cannot be set"),
        (["{file}", "--header", "@/nowhere"], "/nowhere cannot be read"),
        ([], "FILE"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(
    arguments: list[str], words: str, servers: list[Server], file: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    told = replay(config, *(each.format(file=file) for each in arguments))
    assert told.code == WRONG
    assert words in told.err
    assert "usage: strangler replay" in told.err


def test_a_token_that_is_no_header_is_not_repeated(servers: list[Server], file: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    assert "hunter2" not in replay(config, file, "--header", "Bearer hunter2").err


@pytest.mark.parametrize(
    ("native", "more", "words"),
    [
        (None, [], "native: is absent: a replay asks both sides"),
        ({"app": "tests.e2e.sides:nobody"}, [], "native.app: cannot import tests.e2e.sides:nobody"),
        ({"app": "tests.e2e.sides:native"}, ["--journal"], "redis: --journal needs it"),
    ],
)
def test_a_configuration_that_will_not_do_is_told_with_its_place(
    native: dict[str, str] | None, more: list[str], words: str, file: Path, tmp_path: Path
) -> None:
    told = replay(configured(tmp_path, "http://127.0.0.1:9", native), file, *more)
    assert told.code == WRONG
    assert words in told.err


def test_a_file_that_breaks_off_is_told_with_what_was_found_before(
    servers: list[Server], file: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    entry = {"request": {"method": "GET", "url": "http://x/things", "headers": []}}
    file.write_text(json.dumps({"log": {"entries": [entry, entry]}})[:-20])
    told = replay(config, file)
    assert told.code == WRONG
    assert told.out.startswith("1 asked of both sides")
    assert "It was not all: it ends in the middle, behind the first 1 of its requests." in told.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_reports_what_was_found_and_draws_how_far_it_is_on_a_terminal(
    number: signal.Signals, servers: list[Server], tmp_path: Path
) -> None:
    config = configured(tmp_path, servers[0].url, {"url": servers[1].url})
    terminal, drawn = pty.openpty()
    command = [*STRANGLER, "replay", "-", "--config", config]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=drawn, cwd=ROOT, env=environment({})
    ) as process:
        os.close(drawn)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(ACCESS.format("GET /things").encode())
        process.stdin.flush()
        seen = ""
        while "1 asked, 0 mismatched" not in seen:
            seen += os.read(terminal, 1024).decode()
        assert servers[1].was_asked.wait(30)
        process.send_signal(number)
        said = process.stdout.read().decode()
        assert process.wait(30) == REFUSED
    os.close(terminal)
    assert seen.startswith("\r\x1b[K")
    assert said.startswith("1 asked of both sides in ")
    assert f"It was not all: {number.name} ended it." in said


def test_of_what_this_process_logs_only_the_beginning_is_shown_and_beside_the_report() -> None:
    before = structlog.get_config()
    with redirect_stderr(StringIO()) as err, logged_apart():
        for number in range(LINES + 5):
            structlog.get_logger().warning("too little to be told")
            structlog.get_logger().error("it failed", number=number)
    lines = [json.loads(line) for line in err.getvalue().splitlines()]
    assert [line["number"] for line in lines] == list(range(LINES))
    assert structlog.get_config() == before
