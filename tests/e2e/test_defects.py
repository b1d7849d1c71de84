"""Defects of a native side beside real Rails: each is found, named by its field, and exported as a test of the fix."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from demo.service import Service
from demo.stack import Application
from tests.e2e.defects import DEFECTS, VARIABLE
from tests.e2e.proxies import Proxy, running, until
from tests.parity import tokens

LIST, SHOW = "conversations.list", "conversations.show"
FOUND = {  # what the journal calls each
    "wrong rounding": (SHOW, "data.messageCount", "value"),
    "missing field": (SHOW, "data.assignee", "missing"),
    "order": (LIST, "data", "order"),
    "stale cache": (SHOW, "data.status", "value"),
    "time zone": (SHOW, "data.createdAt", "value"),
    "HTML escaping": (SHOW, "data.contact.name", "value"),
    "integer as string": (SHOW, "data.id", "type"),
}


@dataclass(frozen=True, slots=True)
class Ported:
    """Rails, and a proxy before it whose native side has the defect that is written into a file."""

    proxy: Proxy
    defect: Path
    rails: str
    authorization: str

    def ask(self, path: str) -> Any:
        headers = {"Authorization": self.authorization}
        return self.proxy.users.get(path, headers=headers).raise_for_status().json()

    def mismatches(self) -> dict[tuple[str, str, str], str]:
        told = self.proxy.admin.get("/mismatches").json()["mismatches"]
        return {(each["route"], each["field"], each["kind"]): each["id"] for each in told}


@pytest.fixture(scope="module")
def ported(
    rails: Service, application: Application, flags_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ported]:
    with Redis.from_url(flags_server) as client:
        client.flushall()
    directory = tmp_path_factory.mktemp("ported")
    defect = directory / "defect"
    defect.write_text("")
    config = {
        "redis": flags_server,
        "legacy": {"url": rails.url},
        "native": {"app": "tests.e2e.defects:app"},
        "routes": [
            {"name": LIST, "match": "GET /api/v1/conversations", "shadow": "100%"},
            {"name": SHOW, "match": "GET /api/v1/conversations/{id}", "shadow": "100%"},
        ],
    }
    token = tokens.authorizations(application.jwt_secret, int(time.time()))["agent"]
    with running(directory, config, {**application.environment(), VARIABLE: str(defect)}) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("seed")
        yield Ported(proxy, defect, rails.url, token)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found_by_its_field_and_its_exported_test_fails_until_it_is_mended(
    defect: str, ported: Ported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, (route, *_) = ported.proxy, FOUND[defect]
    proxy.order("set", route, "0%")
    path = "/api/v1/conversations"
    if route == SHOW:
        path += f"/{ported.ask(f'{path}?limit=1')['data'][0]['id']}"
    ported.defect.write_text(defect)
    ported.ask(path)
    until(proxy, lambda: FOUND[defect] in ported.mismatches())
    found = ported.mismatches()[FOUND[defect]]

    proxy.order("mismatches", "export", found, "--output", str(tmp_path))
    (exported,) = tmp_path.iterdir()
    test: dict[str, Any] = {"__name__": exported.stem}
    exec(exported.read_text(), test)  # noqa: S102  # that it can be run is what it is for
    proxy.order("set", route, "100%")
    settings = {"LEGACY_URL": ported.rails, "NATIVE_URL": proxy.url, "AUTHORIZATION": ported.authorization}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AssertionError):
        test["test_the_sides_agree"]()
    ported.defect.write_text("")
    test["test_the_sides_agree"]()

    proxy.order("mismatches", "resolve", found, "--why", "mended")
    assert FOUND[defect] not in ported.mismatches()
    (said, *_) = proxy.order("audit", route, "--count", "1", "--json").json["audit"]
    assert (said["who"], said["why"], found in said["words"]) == ("this machine", "mended", True)
