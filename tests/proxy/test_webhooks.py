"""Trips and resets as other systems are told of them: signed, in order, at least once, by one worker."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs
from tenacity import wait_none

from demo.service import LOOPBACK, free_port
from flags.flag import Flag, Trip
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from proxy.address import Address
from proxy.deliveries import Deliveries, MemoryDeliveries, RedisDeliveries
from proxy.server import Server, listen
from proxy.webhooks import ATTEMPTS, Hook, Webhook
from tests.contract.redis_process import redis_process
from tests.e2e.proxies import running, strangler
from tests.flags.workers import NOTE, ROUTE

SECRET = b"0123456789abcdef0123456789abcdef"
TRIPPED = Flag(trip=Trip(1.0, "failing", "evidence"))


class Listener:
    """A system that is told; it answers with `statuses`, one after another, and with 200 after those."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.told: list[Any] = []
        self.unsigned = 0
        self.asked = asyncio.Event()
        self.on_asked: Callable[[], Awaitable[object]] | None = None
        self.url = ""

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        time, _, signature = request.headers["x-strangler-signature"].partition(",")
        wanted = hmac.new(SECRET, time.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
        self.unsigned += signature != f"v1={wanted}"
        self.told.append(json.loads(body)["events"])
        self.asked.set()
        if self.on_asked is not None:
            await self.on_asked()
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200, headers={"location": self.url})

    def what(self) -> list[list[str]]:
        return [[event["what"] for event in events] for events in self.told]


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    sock = listen(Address(LOOPBACK, 0), "listen")
    listener.url = f"http://{LOOPBACK}:{sock.getsockname()[1]}/secret/path"
    server = Server(Starlette(routes=[Route("/secret/path", listener.answer, methods=["POST"])]), sock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run_until_stopped())
        try:
            yield listener
        finally:
            server.stop()
    assert listener.unsigned == 0


class Flow:
    """Changes of one route, and the webhook that is to tell of them."""

    def __init__(self, store: Store, deliveries: Deliveries, url: str, worker: str = "one") -> None:
        self.store, self.generation = store, 0
        self.counted: list[tuple[int, int]] = []  # delivered and not, at a time
        self.in_step = 0  # times that nothing was left to tell
        counting = {"on_told": lambda *numbers: self.counted.append(numbers), "on_all_told": self._all_told}
        self.hook = Webhook(Hook(url, SECRET), store, deliveries, worker, between=wait_none(), **counting)

    async def change(self, *flags: Flag) -> None:
        for flag in flags:
            self.generation += 1
            await self.store.change(ROUTE, self.generation - 1, flag, NOTE)

    def _all_told(self) -> None:
        self.in_step += 1

    async def look(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
            await self.hook.look(client)


@asynccontextmanager
async def told(listener: Listener) -> AsyncIterator[Flow]:
    """A flow in memory whose webhook has looked once."""
    store = MemoryStore()
    flow = Flow(store, MemoryDeliveries(store), listener.url)
    await flow.look()
    yield flow


def flag(generation: int, flag: Flag) -> Flag:
    return Flag(flag.native, flag.shadow, flag.trip, generation)


async def test_trips_and_resets_are_told_in_order_and_other_changes_are_not() -> None:
    async with listening() as listener, told(listener) as flow:
        await flow.change(flag(1, Flag(native=500)), flag(2, TRIPPED), flag(3, Flag()), flag(4, Flag(native=5)))
        await flow.look()
        await flow.look()
        assert listener.what() == [["tripped", "reset"]]
        ((trip, _),) = listener.told
        newest = await flow.store.audit(4)
        assert (trip["id"], trip["route"], trip["who"], trip["why"]) == (newest[2].id, ROUTE, "Anna", "step 1")
        assert await flow.hook.told() == {
            "url": listener.url.replace("/secret/path", "/…"),
            "delivered": 2,
            "undelivered": 0,
            "latest": [],
        }


async def test_what_was_before_a_webhook_is_not_told() -> None:
    async with listening() as listener:
        store = MemoryStore()
        flow = Flow(store, MemoryDeliveries(store), listener.url)
        await flow.change(flag(1, TRIPPED))
        await flow.look()
        assert listener.told == []


async def test_very_many_are_told_in_several_requests() -> None:
    async with listening() as listener, told(listener) as flow:
        for generation in range(1, 251, 2):
            await flow.change(flag(generation, TRIPPED), flag(generation + 1, Flag()))
        await flow.look()
        assert [len(events) for events in listener.told] == [100, 100, 50]


async def test_what_is_not_taken_is_told_again_until_it_is() -> None:
    async with listening() as listener, told(listener) as flow:
        await flow.change(flag(1, TRIPPED))
        listener.statuses = [500, 302, 404, 429, 503]
        await flow.look()
        assert listener.what() == [["tripped"]] * ATTEMPTS
        assert (await flow.hook.told())["delivered"] == 1


async def test_what_is_never_taken_is_given_up_kept_and_shown_and_the_next_is_tried_once() -> None:
    async with listening() as listener, told(listener) as flow:
        await flow.change(flag(1, TRIPPED))
        listener.statuses = [500] * (ATTEMPTS + 1)
        with capture_logs() as logged:
            await flow.look()
            await flow.change(flag(2, Flag()))
            await flow.look()
        assert len(listener.told) == ATTEMPTS + 1
        state = await flow.hook.told()
        assert (state["delivered"], state["undelivered"]) == (0, 2)
        assert [(each["what"], each["problem"]) for each in state["latest"]] == [
            ("reset", "it answered 500"),
            ("tripped", "it answered 500"),
        ]
        assert [entry["webhook"] for entry in logged] == [listener.url.replace("/secret/path", "/…")] * 2
        await flow.change(flag(3, TRIPPED), flag(4, Flag()))
        await flow.look()
        assert listener.what()[-1] == ["tripped", "reset"]
        listener.statuses = [500]
        await flow.change(flag(5, TRIPPED))
        await flow.look()
        assert (await flow.hook.told())["delivered"] == 3


async def test_what_was_told_and_what_was_given_up_is_counted_and_that_nothing_is_left() -> None:
    async with listening() as listener, told(listener) as flow:
        await flow.change(flag(1, TRIPPED), flag(2, Flag()))
        await flow.look()
        listener.statuses = [500] * ATTEMPTS
        await flow.change(flag(3, TRIPPED))
        await flow.look()
        assert flow.counted == [(2, 0), (0, 1)]
        assert flow.in_step == 3


async def test_whoever_does_not_tell_counts_nothing() -> None:
    async with listening() as listener, two_workers(listener) as (one, two, _):
        await one.look()
        await one.change(flag(1, TRIPPED))
        await two.look()
        assert (two.counted, two.in_step) == ([], 0)


async def test_where_nobody_listens_it_is_given_up_with_the_reason() -> None:
    store = MemoryStore()
    flow = Flow(store, MemoryDeliveries(store), f"http://{LOOPBACK}:{free_port()}")
    await flow.look()
    await flow.change(flag(1, TRIPPED))
    await flow.look()
    (kept,) = (await flow.hook.told())["latest"]
    assert kept["problem"].startswith("ConnectError")


def test_neither_a_log_nor_an_operator_is_shown_the_secrets_of_a_webhook() -> None:
    hook = Hook("https://hooks.example/services/T0/B0/x", SECRET)
    assert hook.shown == "https://hooks.example/…"
    assert Hook("https://hooks.example/", SECRET).shown == "https://hooks.example"
    another = Hook("https://hooks.example/services/T0/B0/y", SECRET)
    assert hook.label != another.label
    assert "services" not in hook.label
    assert "0123456789" not in repr(hook)


@asynccontextmanager
async def two_workers(listener: Listener, lease: float = 30.0) -> AsyncIterator[tuple[Flow, Flow, Redis]]:
    with redis_process() as server:
        stores = [RedisStore(server.url()) for _ in range(2)]
        async with Redis.from_url(server.url(), socket_timeout=None) as client:
            deliveries = RedisDeliveries(client, lease)
            one, two = (
                Flow(store, deliveries, listener.url, name) for store, name in zip(stores, ("one", "two"), strict=True)
            )
            yield one, two, client
        for store in stores:
            await store.close()


async def test_of_two_workers_one_tells() -> None:
    async with listening() as listener, two_workers(listener) as (one, two, _):
        await one.look()
        await one.change(flag(1, TRIPPED))
        await asyncio.gather(two.look(), one.look(), two.look())
        assert listener.what() == [["tripped"]]


async def test_what_a_dead_worker_did_not_tell_another_one_does() -> None:
    async with listening() as listener, two_workers(listener, lease=0.2) as (one, two, _):
        await one.look()
        await one.change(flag(1, TRIPPED))
        async with asyncio.timeout(20):
            while not listener.told:  # until the other's time has run out
                await two.look()
        assert listener.what() == [["tripped"]]


async def test_a_sender_that_stops_leaves_its_place_at_once_and_nobody_elses() -> None:
    async with listening() as listener, two_workers(listener) as (one, two, client):
        await one.look()
        for flow in (two, one):
            running = asyncio.gather(flow.hook.run())
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            taken = await client.exists(f"{{strangler}}:webhook:{one.hook.hook.name}:sender")
            assert taken == (flow is two)


async def test_a_sender_that_was_thought_dead_leaves_it_to_the_other() -> None:
    async with listening() as listener, two_workers(listener) as (one, two, client):
        await one.look()
        await one.change(flag(1, TRIPPED))

        async def taken_over() -> None:
            listener.on_asked = None
            await client.delete(f"{{strangler}}:webhook:{one.hook.hook.name}:sender")
            await two.look()

        listener.statuses, listener.on_asked = [200, 500], taken_over
        await one.look()
        assert listener.what() == [["tripped"]] * 2  # at least once
        assert (await one.hook.told())["delivered"] == 1


async def test_a_webhook_is_served_over_an_absence_of_redis() -> None:
    async with listening() as listener:
        with redis_process() as server:
            store = RedisStore(server.url(), limit=5.0)
            async with Redis.from_url(server.url(), socket_timeout=None) as client, asyncio.timeout(30):
                flow = Flow(store, RedisDeliveries(client), listener.url)
                await flow.look()
                server.pause()
                running = asyncio.gather(flow.hook.run())
                await asyncio.sleep(0)
                assert flow.in_step == 1
                server.resume()
                await flow.change(flag(1, TRIPPED))
                await listener.asked.wait()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await store.close()
    assert listener.what() == [["tripped"]]


async def test_a_proxy_tells_of_a_rollback_and_shows_that_it_did(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET + b"\n")
    async with listening() as listener:
        config = {
            "legacy": {"url": f"http://{LOOPBACK}:9"},
            "routes": [{"name": "things.list", "match": "GET /things"}],
            "webhooks": [{"url": listener.url, "secret": str(secret)}],
        }
        with running(tmp_path, config) as proxy:
            async with asyncio.timeout(25):
                # The first look is what a webhook begins with.
                while not listener.told:
                    await asyncio.to_thread(proxy.order, "rollback", "--all", "--why", "incident 7")
                    await asyncio.to_thread(proxy.order, "reset", "things.list")
            trip = listener.told[0][0]
            assert (trip["what"], trip["who"], trip["why"]) == ("tripped", "this machine", "by hand: incident 7")
            assert "/…: told of " in (await asyncio.to_thread(proxy.order, "webhooks")).out
            label = Hook(listener.url, SECRET).label
            delivered = {"webhook": label, "outcome": "delivered"}
            assert await asyncio.to_thread(proxy.metric, "strangler_webhook_events_total", **delivered) >= 1
            assert await asyncio.to_thread(proxy.metric, "strangler_webhook_told_timestamp_seconds", webhook=label)


def test_a_secret_that_can_be_guessed_and_a_webhook_twice_are_faults(tmp_path: Path) -> None:
    secret, config = tmp_path / "secret", tmp_path / "config.yaml"
    secret.write_text("x" * 31)
    hook = f"{{url: 'http://{LOOPBACK}:9/x', secret: '{secret}'}}"
    config.write_text(f"legacy: {{url: 'http://{LOOPBACK}:9'}}\nwebhooks: [{hook}, {hook}]\n")
    told = strangler("check", "--config", config)
    assert "webhooks[0].secret" in told.err
    assert "webhooks[1].url" in told.err
