"""What several workers tell of one change: a listener at any of them hears of it, and a webhook hears of it once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from redis import Redis

from demo.service import LOOPBACK
from proxy.address import Address
from proxy.orders import Orders
from proxy.webhooks import Hook
from tests.e2e.proxies import Proxy, until
from tests.e2e.test_workers import pids, workers

SECRET = b"0123456789abcdef0123456789abcdef"


@contextmanager
def held(pid: int) -> Iterator[None]:
    """This worker takes no connection meanwhile, and so the other one does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Listener(ThreadingHTTPServer):
    """A system that takes whatever it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        super().__init__((LOOPBACK, 0), _Taking)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/told"


class _Taking(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told += json.loads(body)["events"]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def listening() -> Iterator[Listener]:
    with Listener() as listener:
        thread = Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Site:
    proxy: Proxy
    listener: Listener
    hook: Hook

    def delivered(self) -> float:
        """By all workers."""
        return self.proxy.metric("strangler_webhook_events_total", webhook=self.hook.label, outcome="delivered")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, origin: str, flags_server: str) -> Iterator[Site]:
    """Two workers, which tell one webhook of what happens from now on."""
    directory = tmp_path_factory.mktemp("telling")
    (directory / "secret").write_bytes(SECRET)
    with listening() as listener, Redis.from_url(flags_server) as redis:
        redis.flushall()
        hook, webhooks = Hook(listener.url, SECRET), [{"url": listener.url, "secret": str(directory / "secret")}]
        with workers(directory, origin, flags_server, watchdog="1m", webhooks=webhooks) as proxy:
            until(proxy, lambda: bool(redis.exists(f"{{strangler}}:webhook:{hook.name}:state")))
            yield Site(proxy, listener, hook)


def test_who_listens_at_one_worker_hears_of_what_is_ordered_at_the_other(site: Site) -> None:
    one, two = pids(site.proxy)
    orders = Orders(Address(LOOPBACK, site.proxy.admin.base_url.port or 0))
    with closing(orders.events()) as events:
        with held(two):
            _, nothing = next(events)
            assert nothing is None
        with held(one):
            site.proxy.order("set", "things.list", "25%", "--why", "step 1")
        _, event = next(events)
    assert event is not None
    assert (event["route"], event["why"], event["after"]["share"]) == ("things.list", "step 1", 2_500)


def test_of_two_workers_one_tells_a_webhook_of_each_trip_and_reset_and_once(site: Site) -> None:
    site.proxy.order("rollback", "things.list", "--why", "incident 7")
    until(site.proxy, lambda: site.delivered() == 1)
    site.proxy.order("reset", "things.list", "--why", "mended")
    site.proxy.order("rollback", "--all", "--why", "incident 8")
    until(site.proxy, lambda: site.delivered() >= 3)  # whoever would tell the first one again has looked since
    assert [(each["what"], each["why"]) for each in site.listener.told] == [
        ("tripped", "by hand: incident 7"),
        ("reset", "mended"),
        ("tripped", "by hand: incident 8"),
    ]
    assert site.delivered() == 3
