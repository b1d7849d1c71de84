"""A native GET that writes, in real processes beside real Rails: it is found and exported, and nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.service import Service
from demo.stack import Application
from tests.e2e.proxies import Proxy, running, until
from tests.parity import tokens
from tests.parity.conftest import start_native

SHOW = "conversations.show"
LOOKS = "from metrics where name = 'looks'"


@pytest.fixture(scope="module")
def authorization(application: Application) -> str:
    return tokens.authorizations(application.jwt_secret, int(time.time()))["agent"]


@pytest.fixture(scope="module")
def proxy(rails: Service, application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    config = {
        "legacy": {"url": rails.url},
        "native": {"app": "tests.e2e.writing:app"},
        "routes": [{"name": SHOW, "match": "GET /api/v1/conversations/{id}", "shadow": "100%"}],
    }
    with running(tmp_path_factory.mktemp("writing"), config, application.environment()) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        yield proxy


@pytest.fixture
def looks(application: Application) -> Iterator[Any]:
    """How often somebody has looked, as native counts it."""
    with psycopg.connect(application.database_url, autocommit=True) as connection:
        yield lambda: connection.execute(f"select sum(value) {LOOKS}").fetchone()
        connection.execute(f"delete {LOOKS}")


def test_a_get_that_writes_is_a_mismatch_of_its_own_kind(
    proxy: Proxy,
    rails: Service,
    application: Application,
    authorization: str,
    looks: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = proxy.users.get("/api/v1/conversations/2", headers={"Authorization": authorization})
    assert (answer.status_code, "x-strangler-shadow" in answer.headers) == (200, False)
    until(proxy, lambda: proxy.metric("strangler_comparisons_total", outcome="mismatched") == 1)
    assert looks() == (None,)

    (found,) = proxy.order("mismatches", SHOW, "--json").json["mismatches"]
    assert (found["field"], found["kind"], found["state"]) == ("", "write", "open")
    told = proxy.order("mismatches", "show", found["id"]).out
    assert "legacy 200" in told
    assert 'native 500, (whole): "wrote"' in told

    proxy.order("mismatches", "export", found["id"], "--output", str(tmp_path))
    (exported,) = tmp_path.glob("test_*.py")
    test: dict[str, Any] = {"__name__": exported.stem}
    exec(exported.read_text(), test)  # noqa: S102  # that it can be run is what it is for
    monkeypatch.setenv("LEGACY_URL", rails.url)
    monkeypatch.setenv("AUTHORIZATION", authorization)
    for module, fails in (("tests.e2e.writing", True), ("handlers.app", False)):
        with start_native(tmp_path, application, name=module, module=module) as native:
            monkeypatch.setenv("NATIVE_URL", native.url)
            if fails:
                with pytest.raises(AssertionError, match="write"):
                    test["test_the_sides_agree"]()
            else:
                test["test_the_sides_agree"]()
    assert looks() == (None,)


def test_users_never_see_the_word_and_what_native_says_of_them_accuses_nobody(
    proxy: Proxy, authorization: str, looks: Any
) -> None:
    proxy.order("set", SHOW, "100%")
    before = proxy.metric("strangler_comparisons_total", outcome="matched")
    answer = proxy.users.get("/api/v1/conversations/2", headers={"Authorization": authorization})
    assert (answer.status_code, "x-strangler-shadow" in answer.headers) == (200, False)
    until(proxy, lambda: proxy.metric("strangler_comparisons_total", outcome="matched") == before + 1)
    assert looks() == (1,)
