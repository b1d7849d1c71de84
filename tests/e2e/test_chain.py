"""Proxies in a row, each a process of its own: what the first one compares the second one does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.proxies import Proxy, running, until

ROUTE = "read"
USERS = 5


def config(legacy: str, share: str, secret: Path) -> dict[str, Any]:
    """`legacy` plays itself, and native as well: both sides say the same."""
    routes = [{"name": ROUTE, "match": "GET /read", "share": share, "shadow": "100%"}]
    native = {"app": "tests.e2e.sides:legacy"}
    return {"legacy": {"url": legacy}, "native": native, "secret": str(secret), "routes": routes}


def compared(proxy: Proxy) -> float:
    return proxy.metric("strangler_comparisons_total")


def asked(proxy: Proxy) -> float:
    return proxy.metric("strangler_requests_total", route=ROUTE)


def asks_through(behind: Proxy, directory: Path, secret: Path, counted: int) -> None:
    """Users ask through a proxy before that one, which counts so many of their requests and of its comparisons."""
    before = asked(behind)
    with running(directory, config(behind.url, "100%", secret)) as ahead:
        until(ahead, lambda: ahead.metric("strangler_native_ready") == 1)
        for _ in range(USERS):
            assert ahead.users.get("/read").json() == {"side": "legacy"}
        until(ahead, lambda: compared(ahead) >= USERS)
        until(behind, lambda: asked(behind) >= before + counted)
        assert compared(ahead) == USERS
        assert (asked(behind) - before, compared(behind)) == (counted, 0)


def test_two_proxies_in_a_row_neither_double_nor_loop_whatever_they_share(origin: str, tmp_path: Path) -> None:
    own, another = tmp_path / "own", tmp_path / "another"
    own.write_text("0123456789abcdef" * 2)
    another.write_text("fedcba9876543210" * 2)
    with running(tmp_path, config(origin, "0%", own)) as behind:
        asks_through(behind, tmp_path, own, counted=0)
        asks_through(behind, tmp_path, another, counted=USERS)
        for _ in range(USERS):
            behind.users.get("/read", headers={"X-Strangler-Shadow": "forged"})
        for _ in range(USERS):
            behind.users.get("/read")
        until(behind, lambda: compared(behind) >= USERS)
        assert compared(behind) == USERS
