"""Shadows in real processes: the other side is asked the same, and what it answers differently is found and shown."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.service import Service
from demo.stack import Application
from tests.e2e.proxies import Proxy, running, until
from tests.parity import tokens

LIST, SHOW = "conversations.list", "conversations.show"
CANDIDATE = {"0%": "native", "100%": "legacy"}  # by native's share: whoever does not answer the user

SEEN = {"show": ["data.status"]}
NONE = "No mismatch is open. Those that are muted, resolved or unconfirmed: strangler mismatches --all\n"

in_both_directions = pytest.mark.parametrize("share", CANDIDATE)


def config(legacy: str, native: str, *ignore: str) -> dict[str, Any]:
    return {
        "legacy": {"url": legacy},
        "native": {"app": native},
        "shadow": {"roles": ["admin", "agent"]},
        "routes": [
            {"name": LIST, "match": "GET /api/v1/conversations", "shadow": "100%"},
            {"name": SHOW, "match": "GET /api/v1/conversations/{id}", "shadow": "100%", "ignore": list(ignore), **SEEN},
        ],
    }


@pytest.fixture
def proxy_over(rails: Service, application: Application, tmp_path: Path) -> Any:
    """The proxy over real Rails and a native application."""

    def over(native: str, *ignore: str) -> AbstractContextManager[Proxy]:
        return running(tmp_path, config(rails.url, native, *ignore), application.environment())

    return over


@pytest.fixture
def agent(application: Application) -> dict[str, str]:
    return {"Authorization": tokens.authorizations(application.jwt_secret, int(time.time()))["agent"]}


@pytest.fixture
def admin(application: Application) -> dict[str, str]:
    return {"Authorization": tokens.authorizations(application.jwt_secret, int(time.time()))["admin"]}


def ready(proxy: Proxy, share: str) -> Proxy:
    until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
    for route in (LIST, SHOW):
        proxy.order("set", route, share)
    return proxy


def compared(proxy: Proxy, outcome: str, candidate: str) -> float:
    return proxy.metric("strangler_comparisons_total", outcome=outcome, candidate=candidate)


def first_conversation(proxy: Proxy, agent: dict[str, str]) -> dict[str, Any]:
    page = proxy.users.get("/api/v1/conversations?limit=1", headers=agent).raise_for_status().json()
    found: dict[str, Any] = page["data"][0]
    return found


@in_both_directions
def test_the_real_sides_agree_whichever_of_them_is_asked_second(
    share: str, proxy_over: Any, agent: dict[str, str], admin: dict[str, str]
) -> None:
    with proxy_over("handlers.app:app") as proxy:
        ready(proxy, share)
        number = first_conversation(proxy, agent)["id"]
        for path in ("", "?status=open&limit=3", "?limit=0", "?cursor=none", f"/{number}", f"/{2**40}"):
            answer = proxy.users.get(f"/api/v1/conversations{path}", headers=agent | {"X-Strangler-Role": "admin"})
            assert answer.status_code in (200, 400, 404)
            assert "x-strangler-role" not in answer.headers
        assert proxy.users.get(f"/api/v1/conversations/{number}", headers=admin).status_code == 200
        assert proxy.users.get("/api/v1/conversations").status_code == 401
        until(proxy, lambda: compared(proxy, "matched", CANDIDATE[share]) == 9)
        until(proxy, lambda: proxy.order("parity", SHOW, "--json").json["parity"]["compared"] == 3)
        parity = proxy.order("parity", SHOW, "--json").json["parity"]
        assert [each["words"] for each in parity["strata"]] == ["200 for admin", "200 for agent", "404 for agent"]
        assert parity["words"].startswith("mismatches ≤ 82 % (99 %): 0 of 3 compared")
        assert proxy.metric("strangler_comparisons_total") == 9
        assert proxy.order("mismatches").out == NONE


@in_both_directions
def test_a_seeded_difference_is_found_by_its_field_and_shown(
    share: str, proxy_over: Any, agent: dict[str, str]
) -> None:
    candidate = CANDIDATE[share]
    with proxy_over("tests.e2e.sides:altered") as proxy:
        ready(proxy, share)
        conversation = first_conversation(proxy, agent)
        plain, capitals = conversation["status"].lower(), conversation["status"].upper()
        shown = proxy.users.get(f"/api/v1/conversations/{conversation['id']}", headers=agent | {"X-Request-Id": "seen"})
        assert shown.json()["data"]["status"] == (plain if candidate == "native" else capitals)
        until(proxy, lambda: compared(proxy, "mismatched", candidate) == 1)

        (found,) = proxy.order("mismatches", SHOW, "--json").json["mismatches"]
        assert (found["field"], found["kind"], found["count"]) == ("data.status", "value", 1)
        told = proxy.order("mismatches", "show", found["id"], "--json").json["samples"][0]
        assert told["target"] == f"/api/v1/conversations/{conversation['id']}"
        assert (told["candidate"]["side"], told["requestId"]) == (candidate, "seen")
        lines = proxy.order("mismatches", "show", found["id"]).out
        assert f'legacy 200, data.status: "{plain}"' in lines
        assert f'native 200, data.status: "{capitals}"' in lines
        assert "request seen" in lines
        assert "with accept: */*, accept-encoding: gzip, deflate, br" in lines
        assert "with authorization, of which no more is kept" in lines
        assert agent["Authorization"] not in lines
        assert proxy.order("mismatches", LIST).out == NONE


def test_a_rule_hides_the_difference_and_only_that(proxy_over: Any, agent: dict[str, str]) -> None:
    with proxy_over("tests.e2e.sides:altered", "data.status") as proxy:
        ready(proxy, "0%")
        number = first_conversation(proxy, agent)["id"]
        assert proxy.users.get(f"/api/v1/conversations/{number}", headers=agent).status_code == 200
        until(proxy, lambda: compared(proxy, "ignored", "native") == 1)
        assert compared(proxy, "mismatched", "native") == 0
        assert proxy.order("mismatches", "--json").json == {"mismatches": []}


def test_a_hanging_candidate_costs_users_nothing_and_holds_only_what_it_may(origin: str, tmp_path: Path) -> None:
    settings = config(origin, "tests.e2e.sides:hanging")
    settings["shadow"] = {"concurrency": 2, "queue": 4, "deadline": "1h"}
    with running(tmp_path, settings) as proxy:
        ready(proxy, "0%")
        for _ in range(50):
            assert proxy.users.get("/api/v1/conversations").json() == {"side": "legacy"}

        until(proxy, lambda: proxy.metric("strangler_shadow_drops_total", reason="queue_full") == 50 - 2 - 4)
        assert proxy.metric("strangler_shadow_queue") == 4
        assert proxy.metric("strangler_answers_total", status="200") == 50
        assert proxy.metric("strangler_comparisons_total") == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(proxy.url)
    assert proxy.service.process.returncode == 0
