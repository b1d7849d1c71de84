"""Several workers behind one port: replaced, killed and stopped while users ask."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, time
from typing import Any

import httpx
import pytest
from redis import Redis

from demo.service import LOOPBACK, free_port
from flags.flag import WHOLE, Flag, encode
from flags.store.layout import FLAGS
from proxy.supervisor import READY_WITHIN
from tests.contract.redis_process import RedisProcess, redis_process
from tests.e2e.load import BUSY, FRESH, LAST, SELDOM, loading
from tests.e2e.proxies import Proxy, running, until

ROUTES = [{"name": "things.list", "match": "GET /things"}]
READY = "a worker takes requests"
ROUNDS = 20
WATCHDOG = "2s"  # so long may a worker that is well get no turn on a machine that is busy
UPGRADE = (
    b"GET /cable HTTP/1.1\r\nHost: example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@contextmanager
def workers(directory: Path, origin: str, redis: str | None, count: int = 2, **sections: Any) -> Iterator[Proxy]:
    """So many workers, all of which take requests."""
    config = {"legacy": {"url": origin}, "routes": ROUTES, "log": {"access": False}, "drain": "5s", **sections}
    if redis is not None:
        config["redis"] = redis
    with running(directory, config, workers=count) as proxy:
        if count > 1:
            until(proxy, lambda: len(pids(proxy)) == count)
        yield proxy


@contextmanager
def a_websocket(
    directory: Path, redis: str, count: int = 2, **sections: Any
) -> Iterator[tuple[Proxy, socket.socket, socket.socket]]:
    """Workers, and both ends of a tunnel through one of them: the user's and legacy's."""
    with (
        socket.create_server((LOOPBACK, 0)) as legacy,
        workers(directory, f"http://{LOOPBACK}:{legacy.getsockname()[1]}", redis, count, **sections) as proxy,
        socket.create_connection((LOOPBACK, proxy.service.port)) as user,
    ):
        user.settimeout(30)
        user.sendall(UPGRADE)
        side, _ = legacy.accept()
        with side:
            side.recv(4096)
            side.sendall(SWITCHED)
            assert user.recv(4096).startswith(b"HTTP/1.1 101")
            yield proxy, user, side


def pids(proxy: Proxy) -> list[int]:
    """Of all workers that ever took requests, in this order."""
    return [record["pid"] for record in proxy.logged() if record["event"] == READY]


def renewed(proxy: Proxy) -> None:
    """Replace all workers, and wait until it is done."""
    word = "all workers are replaced"
    before = proxy.service.log.read_text().count(word)
    proxy.service.process.send_signal(signal.SIGHUP)
    until(proxy, lambda: proxy.service.log.read_text().count(word) > before)


def refuses(proxy: Proxy) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, proxy.service.port)) != 0


def keep(redis: str, flag: Flag) -> None:
    """The flag of the route before there is any worker: each begins with it, and none hears of it after another."""
    with Redis.from_url(redis) as store:
        store.hset(FLAGS, "things.list", encode(flag))


def ended(proxy: Proxy, pid: int) -> Callable[[], bool]:
    return lambda: not Path(f"/proc/{pid}").exists()


def test_replacing_both_workers_under_load_costs_no_request(tmp_path: Path, origin: str, flags_redis: str) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        old = pids(proxy)
        with loading(proxy.service.port) as load:
            until(proxy, lambda: load.answered > 100)
            renewed(proxy)
            for pid in old:
                until(proxy, ended(proxy, pid))
            served = load.answered
            until(proxy, lambda: load.answered > served + 100)
        new = pids(proxy)[2:]
        assert len(new) == 2
        assert not set(new) & set(old)
        assert load.failures == {}
        assert load.answers.keys() == {200}
        assert load.lasting > 0
        until(proxy, lambda: proxy.metric("strangler_requests_total", outcome="ok") == load.answered)


def test_a_worker_that_is_killed_takes_only_its_own_requests_along_and_no_connection_waits_for_the_next_one(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    with workers(tmp_path, origin, flags_redis, watchdog="1m") as proxy:
        sound, (killed, other) = proxy.config.read_text(), pids(proxy)
        proxy.config.unlink()
        os.mkfifo(proxy.config)  # so that the next worker does not begin before the end of what it goes by is written
        with loading(proxy.service.port) as load:
            until(proxy, lambda: load.answered > 100)
            os.kill(killed, signal.SIGSTOP)
            assert connections_served(proxy, 100) == 100
            os.kill(killed, signal.SIGKILL)
            until(proxy, lambda: "another takes its place" in proxy.service.log.read_text())
            assert connections_served(proxy, 100) == 100
            assert len(pids(proxy)) == 2
            proxy.config.write_text(sound)
            until(proxy, lambda: len(pids(proxy)) == 3)
        assert Path(f"/proc/{other}").exists()
        assert load.failures.total() <= BUSY + SELDOM + FRESH
        assert load.answers.keys() == {200}
        told = next(record for record in proxy.logged() if "another takes its place" in record["event"])
        assert (told["pid"], told["by"]) == (killed, "signal SIGKILL")


def test_a_worker_that_dies_while_the_one_before_it_still_has_users_is_replaced_at_once(
    tmp_path: Path, flags_redis: str
) -> None:
    with a_websocket(tmp_path, flags_redis, drain="10m") as (proxy, user, side):
        renewed(proxy)
        for pid in pids(proxy)[2:]:
            os.kill(pid, signal.SIGKILL)
        until(proxy, lambda: len(pids(proxy)) == 6)
        side.sendall(b"still here")
        assert user.recv(4096) == b"still here"


def connections_served(proxy: Proxy, count: int, request: bytes = LAST) -> int:
    """Of so many connections opened at once, those whose request is answered."""
    with ExitStack() as users:
        opened = [users.enter_context(socket.create_connection((LOOPBACK, proxy.service.port))) for _ in range(count)]
        for user in opened:
            user.settimeout(30)
            user.sendall(request)
        return sum(user.recv(1 << 16).startswith(b"HTTP/1.1 200") for user in opened)


def test_a_worker_that_stands_still_is_replaced_and_legacy_answers_what_blocked_it(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    blocking = {"app": "tests.e2e.sides:blocking"}
    ahead = int((time() + 600) * 1000)  # by a clock that was set back since
    keep(flags_redis, Flag(native=WHOLE, generation=ahead))
    with (
        workers(tmp_path, origin, flags_redis, native=blocking, watchdog=WATCHDOG) as proxy,
        ThreadPoolExecutor(1) as users,
    ):
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        blocked = users.submit(ask_until_cut_off, proxy)
        until(proxy, lambda: "the event loop stands still" in proxy.service.log.read_text())
        assert connections_served(proxy, 20, LAST.replace(b"/things", b"/others")) == 20
        until(proxy, lambda: len(pids(proxy)) == 3)
        blocked.result(30)
        until(proxy, lambda: sides(proxy) == {"legacy"})
        assert "blocked the event loop" in proxy.route("things.list")["trip"]["reason"]
        assert len(pids(proxy)) == 3
        told = next(record for record in proxy.logged() if record["event"].startswith("the event loop stands still"))
        assert told["routes"] == ["things.list"]
        assert "time.sleep(" in told["stack"]


def test_what_blocks_a_worker_is_not_shadowed_either(tmp_path: Path, origin: str, flags_redis: str) -> None:
    blocking = {"app": "tests.e2e.sides:blocking"}
    keep(flags_redis, Flag(shadow=WHOLE, generation=1))
    with workers(tmp_path, origin, flags_redis, native=blocking, watchdog=WATCHDOG) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 1)
        assert proxy.users.get("/things").json() == {"side": "legacy"}
        until(proxy, lambda: len(pids(proxy)) == 3)
        until(proxy, lambda: not proxy.route("things.list")["onThisWorkerOnly"])
        route = proxy.route("things.list")
        assert ("blocked the event loop" in route["trip"]["reason"], route["shadow"]) == (True, 0)
        assert sides(proxy) == {"legacy"}
        assert len(pids(proxy)) == 3


def test_one_worker_alone_that_stands_still_says_what_blocks_it_and_goes_on_after_it(
    tmp_path: Path, origin: str
) -> None:
    os.mkfifo(pipe := tmp_path / "blocked")
    blocked = {"native": {"app": "tests.e2e.sides:held_up"}, "watchdog": WATCHDOG}
    config = {"legacy": {"url": origin}, "routes": [{"name": "things.show", "match": "GET /things/{id}"}], **blocked}
    with running(tmp_path, config, {"BLOCKED_UNTIL": str(pipe)}) as proxy, ThreadPoolExecutor(1) as users:
        proxy.order("set", "things.show", "100%")
        first = users.submit(proxy.users.get, "/things/blocked")
        until(proxy, lambda: "the event loop stands still" in proxy.service.log.read_text())
        pipe.write_text("")
        assert first.result(30).json() == {"side": "native"}
        [told] = [record for record in proxy.logged() if record["event"].startswith("the event loop stands still")]
        assert told["routes"] == ["things.show"]
        assert "read_text()" in told["stack"]
        assert "nobody replaces this process" in told["event"]
        assert proxy.route("things.show")["trip"] is None


def ask_until_cut_off(proxy: Proxy) -> None:
    with suppress(httpx.TransportError):
        while True:
            httpx.get(f"{proxy.url}/things", timeout=30)


def test_counts_add_up_over_workers_and_never_fall(tmp_path: Path, origin: str, flags_redis: str) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        seen = [0.0]

        def look() -> bool:
            with suppress(httpx.TransportError):  # the one that was asked is killed
                seen.append(scraped(proxy))
                assert seen[-1] >= seen[-2]
            return True

        with loading(proxy.service.port) as load:
            until(proxy, lambda: look() and seen[-1] > 200)
            os.kill(pids(proxy)[0], signal.SIGKILL)
            until(proxy, lambda: look() and len(pids(proxy)) == 3)
            proxy.service.process.send_signal(signal.SIGHUP)
            until(proxy, lambda: look() and len(pids(proxy)) == 5)
            served = load.answered
            until(proxy, lambda: look() and load.answered > served + 100)
        counted = proxy.metric("strangler_requests_total")
        assert seen[-1] <= counted <= load.answered + load.failures.total()
        assert proxy.metric("strangler_store_connected") == 1


def test_any_worker_tells_what_shadow_work_all_of_them_leave_undone(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    routes = [{**ROUTES[0], "shadow_legacy": False}]
    keep(flags_redis, Flag(native=WHOLE, shadow=WHOLE, generation=1))
    with workers(tmp_path, origin, flags_redis, native={"app": "tests.e2e.sides:native"}, routes=routes) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 1)
        assert sides(proxy) == {"native"}  # on so many connections that every worker is asked
        undone = [{"route": "things.list", "reason": "spared", "times": 40}]
        until(proxy, lambda: all(given_up(proxy) == undone for _ in range(10)))
        assert "in the last minute: 40 of things.list (spared)." in proxy.order("status").out


def given_up(proxy: Proxy) -> Any:
    """Of shadow work, as whichever worker tells it that takes a new connection."""
    return httpx.get(proxy.admin.base_url.join("/flags"), timeout=30).json()["shadowing"]["givenUp"]


def test_a_worker_that_is_frozen_hides_no_counts_of_its_own_and_is_replaced(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    with workers(tmp_path, origin, flags_redis, watchdog=WATCHDOG) as proxy:
        for _ in range(20):
            httpx.get(f"{proxy.url}/things", timeout=30).raise_for_status()
        until(proxy, lambda: proxy.metric("strangler_requests_total") == 20)
        frozen = pids(proxy)[0]
        os.kill(frozen, signal.SIGSTOP)
        assert {scraped(proxy) for _ in range(10)} == {20.0}
        until(proxy, lambda: len(pids(proxy)) == 3)
        assert not Path(f"/proc/{frozen}").exists()
        assert scraped(proxy) == 20


def scraped(proxy: Proxy) -> float:
    """All requests counted, over a new connection: any worker may be asked that can answer."""
    with httpx.Client(base_url=proxy.admin.base_url, timeout=30) as client:
        text = client.get("/metrics").raise_for_status().text
    lines = [line for line in text.splitlines() if line.startswith("strangler_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("count", [1, 2])
def test_a_request_in_flight_is_finished_before_the_end(count: int, tmp_path: Path, flags_redis: str) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as legacy,
        ThreadPoolExecutor(1) as users,
        workers(tmp_path, f"http://{LOOPBACK}:{legacy.getsockname()[1]}", flags_redis, count, drain="1m") as proxy,
    ):
        slow = users.submit(httpx.get, f"{proxy.url}/things", timeout=30)
        side, _ = legacy.accept()
        with side:
            side.recv(4096)
            proxy.service.process.send_signal(signal.SIGTERM)
            until(proxy, lambda: refuses(proxy))
            side.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            answer = slow.result(30)
            assert (answer.text, answer.headers["connection"]) == ("done", "close")
            assert proxy.service.process.wait(30) == 0


@pytest.mark.parametrize("count", [1, 2])
def test_the_end_does_not_wait_for_ever(count: int, tmp_path: Path, flags_redis: str) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as legacy,
        ThreadPoolExecutor(1) as users,
        workers(tmp_path, f"http://{LOOPBACK}:{legacy.getsockname()[1]}", flags_redis, count, drain="500ms") as proxy,
    ):
        stuck = users.submit(httpx.get, f"{proxy.url}/things", timeout=30)
        side, _ = legacy.accept()
        with side:
            proxy.service.process.send_signal(signal.SIGTERM)
            assert proxy.service.process.wait(30) == 0
            with pytest.raises(httpx.TransportError):
                stuck.result(30)


@pytest.mark.parametrize("count", [1, 2])
def test_a_websocket_outlives_the_requests_and_ends_in_time(count: int, tmp_path: Path, flags_redis: str) -> None:
    with a_websocket(tmp_path, flags_redis, count, drain="5s") as (proxy, user, side):
        proxy.service.process.send_signal(signal.SIGTERM)
        until(proxy, lambda: refuses(proxy))
        side.sendall(b"still here")
        assert user.recv(4096) == b"still here"
        assert user.recv(4096) == b""
        assert proxy.service.process.wait(30) == 0


def test_workers_without_their_supervisor_finish_and_end(tmp_path: Path, origin: str, flags_redis: str) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        proxy.service.process.kill()
        limit = monotonic() + 30  # the service itself is gone, so that `until` would fail
        while not refuses(proxy):
            assert monotonic() < limit


def test_a_configuration_with_faults_replaces_nobody(tmp_path: Path, origin: str, flags_redis: str) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        sound = proxy.config.read_text()
        proxy.config.write_text(sound.replace("drain:", "drian:"))
        proxy.service.process.send_signal(signal.SIGHUP)
        until(proxy, lambda: "did not become ready" in proxy.service.log.read_text())
        text = proxy.service.log.read_text()
        assert 'drian: unknown key; did you mean "drain"?' in text
        assert proxy.users.get("/things").json() == {"side": "legacy"}
        assert text.count(READY) == 2
        proxy.config.write_text(sound)
        proxy.service.process.send_signal(signal.SIGHUP)
        until(proxy, lambda: proxy.service.log.read_text().count(READY) == 4)


def test_what_a_replacement_reads_is_in_force_but_for_the_addresses(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        elsewhere = free_port()
        text = proxy.config.read_text().replace(f":{proxy.service.port}", f":{elsewhere}")
        proxy.config.write_text(text.replace("name: things.list", "name: things.all"))
        renewed(proxy)
        until(proxy, lambda: "things.all" in proxy.admin.get("/flags").text)  # at first, by a connection to the old one
        assert proxy.users.get("/things").json() == {"side": "legacy"}
        told = [record for record in proxy.logged() if "cannot change while serving" in record["event"]]
        assert {(record["worker"], record["place"], record["asked"]) for record in told} == {
            (worker, "listen", f"{LOOPBACK}:{elsewhere}") for worker in (1, 2)
        }


@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    with redis_process() as server:
        yield server


def test_a_rollback_reaches_every_worker_while_redis_is_away(tmp_path: Path, origin: str, redis: RedisProcess) -> None:
    with workers(tmp_path, origin, redis.url(1), native={"app": "tests.e2e.sides:native"}) as proxy:
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        proxy.order("set", "things.list", "100%")
        until(proxy, lambda: sides(proxy) == {"native"})
        redis.kill()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 0)
        assert sides(proxy) == {"native"}
        told = proxy.order("rollback", "things.list", "--why", "native looks odd")
        assert "on every worker of this proxy" in told.out
        assert sides(proxy) == {"legacy"}

        for pid in pids(proxy):  # even if not one of them is left that was told
            os.kill(pid, signal.SIGKILL)
        until(proxy, lambda: len(pids(proxy)) == 4)
        redis.start()
        until(proxy, lambda: proxy.metric("strangler_store_connected") == 1)
        until(proxy, lambda: not proxy.route("things.list")["onThisWorkerOnly"])
        assert proxy.route("things.list")["trip"]["reason"].endswith("native looks odd")
        proxy.order("reset", "things.list")
        renewed(proxy)
        assert proxy.order("status").out.count("tripped") == 0


def sides(proxy: Proxy) -> set[str]:
    """Who answers, on so many connections that every worker is asked."""
    return {httpx.get(f"{proxy.url}/things", timeout=30).json()["side"] for _ in range(40)}


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_replacing_the_workers_time_and_again_costs_no_request(tmp_path: Path, origin: str, flags_redis: str) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        with loading(proxy.service.port) as load:
            for _ in range(ROUNDS):
                renewed(proxy)
        assert len(set(pids(proxy))) == 2 + 2 * ROUNDS
        assert load.failures == {}
        assert load.answers.keys() == {200}
        until(proxy, lambda: proxy.metric("strangler_requests_total", outcome="ok") == load.answered)


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_worker_that_does_not_get_to_serve_is_replaced(tmp_path: Path, origin: str, flags_redis: str) -> None:
    with workers(tmp_path, origin, flags_redis) as proxy:
        sound, killed = proxy.config.read_text(), pids(proxy)[0]
        proxy.config.unlink()
        os.mkfifo(proxy.config)  # which the next worker waits for
        os.kill(killed, signal.SIGKILL)
        until(proxy, lambda: "another takes its place" in proxy.service.log.read_text())
        late = monotonic() + READY_WITHIN  # `until` has no more patience than the supervisor
        until(proxy, lambda: monotonic() > late - 5)
        until(proxy, lambda: "it did not become ready in time" in proxy.service.log.read_text())
        proxy.config.unlink()
        proxy.config.write_text(sound)
        until(proxy, lambda: len(pids(proxy)) == 3)
