"""Shares that a release engineer moves in Unleash, and the traffic of a running proxy that follows."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from demo.engineer import ReleaseEngineer, furnish
from demo.operator import Command
from demo.service import Service
from demo.site import Site
from demo.unleash import ADMIN_TOKEN, CLIENT_TOKEN, Page, Shown, rollout
from flags.flag import bucket
from tests.e2e.proxies import Proxy, running, until

T = TypeVar("T")
SUBJECTS = [f"user-{number}" for number in range(60)]


def config(origin: str, unleash: Service, folder: Path, route: str) -> dict[str, Any]:
    return {
        "legacy": {"url": origin},
        "native": {"app": "tests.e2e.sides:native"},
        "unleash": {
            "url": unleash.url,
            "token": CLIENT_TOKEN,
            "admin_token": ADMIN_TOKEN,
            "backup": str(folder / "unleash.json"),
        },
        "subject": ["header:X-User"],
        "routes": [{"name": route, "match": "GET /things"}],
    }


def sides(proxy: Proxy) -> dict[str, str]:
    asked = {subject: proxy.users.get("/things", headers={"X-User": subject}) for subject in SUBJECTS}
    return {subject: answer.raise_for_status().json()["side"] for subject, answer in asked.items()}


def by_share(percent: int) -> dict[str, str]:
    return {s: "native" if bucket("default", s) < percent * 100 else "legacy" for s in SUBJECTS}


def on_page(unleash: Service, act: Callable[[Page], Awaitable[T]]) -> T:
    async def acted() -> T:
        async with Page(unleash.url) as page:
            return await act(page)

    return asyncio.run(acted())


def test_traffic_follows_what_is_moved_in_unleash_and_unleash_hears_of_a_rollback(
    tmp_path: Path, origin: str, flags_redis: str, unleash_server: Service
) -> None:
    route = f"things.list.{secrets.token_hex(4)}"
    with running(tmp_path, {**config(origin, unleash_server, tmp_path, route), "redis": flags_redis}) as proxy:
        assert sides(proxy) == by_share(0)
        on_page(unleash_server, lambda page: page.create(route, rollout(25)))
        until(proxy, lambda: bool(proxy.route(route)["share"] == 2_500))
        assert sides(proxy) == by_share(25)
        on_page(unleash_server, lambda page: page.move(route, 75))
        until(proxy, lambda: bool(proxy.route(route)["share"] == 7_500))
        assert sides(proxy) == by_share(75)
        assert proxy.metric("strangler_unleash_connected") == 1

        refused = proxy.strangler("set", route, "5%")
        assert (refused.code, "its share is taken from Unleash" in refused.err) == (1, True)
        on_page(unleash_server, lambda page: page.move(route, "2.5"))
        until(proxy, lambda: "is no whole percentage" in proxy.order("status").out)
        assert proxy.metric("strangler_unleash_refused") == 1
        assert sides(proxy) == by_share(75)
        on_page(unleash_server, lambda page: page.move(route, 50))
        until(proxy, lambda: bool(proxy.route(route)["share"] == 5_000))

        proxy.order("rollback", route, "--why", "incident 7")
        assert sides(proxy) == by_share(0)
        until(proxy, lambda: not on_page(unleash_server, lambda page: page.shown(route)).on)
        assert on_page(unleash_server, lambda page: page.shown(route)) == Shown(False, ("50",))
        assert "native's share is what Unleash says" in proxy.order("reset", route).out
        assert sides(proxy) == by_share(0)


def test_a_proxy_that_starts_while_unleash_hangs_goes_by_what_it_said_last(
    tmp_path: Path, origin: str, unleash_server: Service
) -> None:
    route = f"things.list.{secrets.token_hex(4)}"
    settings = config(origin, unleash_server, tmp_path, route)
    on_page(unleash_server, lambda page: page.create(route, rollout(40, constraints=[only(SUBJECTS[:30])])))
    with running(tmp_path, settings) as proxy:
        until(proxy, lambda: bool(proxy.route(route)["byRules"]))
        first = sides(proxy)
        chosen = {subject for subject, side in first.items() if side == "native"}
        assert chosen == {subject for subject in SUBJECTS[:30] if bucket("default", subject) < 4_000}
        assert "by rules" in proxy.order("status").out
    unleash_server.pause()
    try:
        with running(tmp_path, settings) as proxy:
            assert sides(proxy) == first
            until(proxy, lambda: "Unleash gives no answer that can be used" in proxy.order("status").out)
            assert sides(proxy) == first
            assert proxy.metric("strangler_unleash_connected") == 0
    finally:
        unleash_server.resume()


def test_the_demo_s_engineer_moves_shares_there_and_says_when_the_proxy_followed(
    tmp_path: Path, origin: str, unleash_server: Service
) -> None:
    route = f"things.list.{secrets.token_hex(4)}"
    with running(tmp_path, config(origin, unleash_server, tmp_path, route)) as proxy:
        # All that an operator knows of a site, as long as he does not look at its services.
        site = cast("Site", SimpleNamespace(directory=tmp_path, admin_url=str(proxy.admin.base_url)))

        async def work() -> Command:
            await furnish(unleash_server, [route])
            async with aclosing(ReleaseEngineer(site, unleash_server)) as engineer:
                told = await engineer.order("set", route, "25%")
                await engineer.adjust([route], share="50%", shadow="10%")
                return told

        told = asyncio.run(work())
        assert (told.typed, told.succeeded) == (f"Unleash: {route} to 25%", True)
        assert "followed" in told.printed
        assert (proxy.route(route)["share"], proxy.route(route)["shadow"]) == (5_000, 1_000)


def only(subjects: list[str]) -> dict[str, Any]:
    return {"contextName": "userId", "operator": "IN", "values": subjects, "inverted": False, "caseInsensitive": False}
