"""Requests of a file, asked of real Rails and the real native application before anybody is moved."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis import Redis

from demo.service import Service
from demo.stack import Application
from shadow.layout import PREFIX, entry_key
from tests.e2e.defects import VARIABLE
from tests.e2e.proxies import ROOT, STRANGLER, Told, environment
from tests.parity import tokens

LIST, SHOW = "conversations.list", "conversations.show"
ACCESS = '10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "{} {} HTTP/1.1" 200 2326 "-" "Mozilla/5.0"\n'


@dataclass(frozen=True, slots=True)
class Both:
    """Rails, and a native side that has the defect which is written into a file; `paths` are what users ask."""

    directory: Path
    defect: Path
    paths: list[str]
    environment: dict[str, str]

    def replay(self, file: str, content: str, *more: str) -> Told:
        (self.directory / file).write_text(content)
        files = ["--config", self.directory / "config.yaml", "--header", f"@{self.directory / 'headers'}"]
        command = [*STRANGLER, "replay", self.directory / file, *files, "--rate", "200/s", "--json", *more]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=self.environment, timeout=60)
        return Told(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def both(rails: Service, application: Application, flags_server: str, tmp_path_factory: pytest.TempPathFactory) -> Both:
    directory = tmp_path_factory.mktemp("replay")
    defect = directory / "defect"
    defect.write_text("")
    config = {
        "redis": flags_server,
        "legacy": {"url": rails.url},
        "native": {"app": "tests.e2e.defects:app"},
        "routes": [
            {"name": LIST, "match": "GET /api/v1/conversations"},
            {"name": SHOW, "match": "GET /api/v1/conversations/{id}"},
        ],
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    token = tokens.authorizations(application.jwt_secret, int(time.time()))["agent"]
    (directory / "headers").write_text(f"Authorization: {token}\n")
    path = "/api/v1/conversations"
    listed: Any = httpx.get(f"{rails.url}{path}?limit=5", headers={"Authorization": token}).json()
    paths = [f"{path}?limit=5", path, *(f"{path}/{each['id']}" for each in listed["data"])]
    with Redis.from_url(flags_server) as client:
        client.flushall()
    return Both(directory, defect, paths, environment({**application.environment(), VARIABLE: str(defect)}))


def test_an_access_log_tells_that_the_sides_are_alike(both: Both) -> None:
    lines = [ACCESS.format("GET", path) for path in both.paths] + [ACCESS.format("POST", "/api/v1/messages")]
    told = both.replay("access.log", "".join(lines))
    found = told.json
    assert (told.code, told.err, found["mismatches"]) == (0, "", [])
    assert (found["asked"], found["compared"], found["skipped"]) == (len(both.paths), len(both.paths), {"unsafe": 1})
    assert {route["route"]: route["outcomes"]["matched"] for route in found["routes"]} == {LIST: 2, SHOW: 5}
    for route in found["routes"]:
        assert all(side["milliseconds"]["p50"] > 0 and not side["failures"] for side in route["sides"].values())


def test_a_har_finds_a_defect_by_its_field_and_puts_it_on_the_list_of_mismatches(both: Both, flags_server: str) -> None:
    both.defect.write_text("wrong rounding")
    somebodys = [
        {"name": "Authorization", "value": "Bearer somebody's"},
        {"name": "Accept", "value": "application/json"},
    ]
    entries = [
        {"request": {"method": "GET", "url": f"https://app.example.com{path}", "headers": somebodys}}
        for path in both.paths
    ]
    har = json.dumps({"log": {"version": "1.2", "entries": entries}})
    try:
        told = both.replay("session.har", har, "--host", "app.example.com", "--journal")
    finally:
        both.defect.write_text("")
    found = told.json
    assert told.code == 1
    (defect,) = found["mismatches"]
    assert (defect["route"], defect["field"], defect["kind"]) == (SHOW, "data.messageCount", "value")
    assert defect["example"]["target"] in both.paths
    assert {route["route"]: route["outcomes"]["mismatched"] for route in found["routes"]} == {LIST: 0, SHOW: 5}
    with Redis.from_url(flags_server) as client:
        assert client.exists(entry_key(PREFIX, defect["id"]))
