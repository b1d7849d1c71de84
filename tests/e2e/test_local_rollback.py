"""`strangler rollback --local`: with Redis down, with native blocking its loop, with nothing running, over restarts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.redis_process import redis_process
from tests.e2e.proxies import Proxy, running, serving, strangler, until
from tests.e2e.test_workers import pids

WORKERS = 2


def config(origin: str, state: Path, **sections: Any) -> dict[str, Any]:
    return {
        "legacy": {"url": origin},
        "native": {"app": "tests.e2e.sides:native"},
        "admin": {"state": str(state)},
        "subject": ["header:X-User"],
        "routes": [
            {"name": "things.list", "match": "GET /things", "share": "100%"},
            {"name": "things.show", "match": "GET /things/{id}", "share": "100%"},
        ],
        **sections,
    }


def sides(proxy: Proxy, path: str = "/things") -> set[str]:
    """Who answers, asked over as many connections as reach every worker."""
    with ThreadPoolExecutor(8) as threads:
        return set(
            threads.map(lambda user: proxy.users.get(path, headers={"X-User": str(user)}).json()["side"], range(40))
        )


def rolled_back(proxy: Proxy, *arguments: str) -> Any:
    """The order by somebody whose operators' port is gone: nothing of it is asked."""
    told = proxy.strangler("rollback", "--local", "--json", "--admin", "127.0.0.1:9", *arguments)
    assert told.code == 0, told.err + told.out
    return told.json


@contextmanager
def fleet_without_redis(directory: Path, origin: str, state: Path) -> Iterator[tuple[Proxy, Path]]:
    """Two workers, all of them native's, whose Redis has gone."""
    with redis_process() as redis:
        sections = {"redis": redis.url(), "log": {"access": False}, "drain": "5s"}
        with running(directory, config(origin, state, **sections), workers=WORKERS) as proxy:
            until(proxy, lambda: len(pids(proxy)) == WORKERS)
            proxy.order("seed")
            until(proxy, lambda: sides(proxy) == {"native"})
            redis.kill()
            yield proxy, proxy.config


def test_with_redis_down_every_worker_goes_by_it_and_so_does_the_proxy_after_a_restart(
    tmp_path: Path, origin: str
) -> None:
    state = tmp_path / "state"
    with fleet_without_redis(tmp_path, origin, state) as (proxy, path):
        told = rolled_back(proxy, "--all", "--why", "3 a.m.")
        assert sorted(process["pid"] for process in told["processes"]) == sorted(pids(proxy))
        assert all(process["taken"] for process in told["processes"])
        assert sides(proxy) == sides(proxy, "/things/1") == {"legacy"}
        port, admin = proxy.service.port, proxy.admin.base_url.port
    with serving(path, port, admin, workers=WORKERS) as proxy:
        assert sides(proxy) == {"legacy"}
        assert "3 a.m." in proxy.route("things.list")["trip"]["reason"]


def test_a_worker_that_is_replaced_goes_by_it_from_its_first_request(tmp_path: Path, origin: str) -> None:
    with fleet_without_redis(tmp_path, origin, tmp_path / "state") as (proxy, _):
        rolled_back(proxy, "things.list")
        os.kill(pids(proxy)[0], signal.SIGKILL)
        until(proxy, lambda: len(pids(proxy)) == WORKERS + 1)
        assert sides(proxy) == {"legacy"}


def test_native_that_blocks_the_loop_keeps_nobody_from_it(tmp_path: Path, origin: str) -> None:
    """What waits behind the blocked request is decided after it: none of it may be native's."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    blocked = config(origin, tmp_path / "state", native={"app": "tests.e2e.sides:held_up"}, watchdog="60s")
    with running(tmp_path, blocked, {"BLOCKED_UNTIL": str(pipe)}) as proxy, ThreadPoolExecutor(6) as threads:
        assert sides(proxy) == {"native"}
        first = threads.submit(proxy.users.get, "/things/blocked")
        ends = list[int]()
        until(proxy, lambda: _opened(pipe, ends))
        behind = [threads.submit(proxy.users.get, "/things") for _ in range(4)]
        told = proxy.strangler("rollback", "--all", "--local", "--json")
        assert told.code == 1, "it cannot say so yet"
        assert told.json["processes"] == [{"pid": proxy.service.process.pid, "taken": False}]
        os.close(ends.pop())
        assert {answer.result().json()["side"] for answer in behind} == {"legacy"}
        assert first.result().status_code == 200
        assert sides(proxy) == {"legacy"}


def _opened(pipe: Path, ends: list[int]) -> bool:
    """Whether somebody reads the pipe; then its other end is held open."""
    try:
        ends.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_a_reset_lifts_it_for_this_run_and_the_next(tmp_path: Path, origin: str) -> None:
    state = tmp_path / "state"
    with running(tmp_path, config(origin, state)) as proxy:
        rolled_back(proxy, "--all")
        assert "tripped already" in proxy.order("rollback", "things.list").out
        proxy.order("reset", "things.list")
        path, port, admin = proxy.config, proxy.service.port, proxy.admin.base_url.port
    with serving(path, port, admin) as proxy:
        assert (sides(proxy), sides(proxy, "/things/1")) == ({"native"}, {"legacy"})


def test_an_order_that_could_reach_nobody_is_refused(tmp_path: Path, origin: str) -> None:
    with running(tmp_path, config(origin, tmp_path / "state")) as proxy:
        told = proxy.strangler("rollback", "thing.list", "--local")
        assert (told.code, "no such route" in told.err) == (1, True)
        assert sides(proxy) == {"native"}
    path = tmp_path / "none.yaml"
    path.write_text(f"legacy: {{url: {origin}}}\n")
    told = strangler("rollback", "--all", "--local", "--config", path)
    assert (told.code, "admin.state names no directory" in told.err) == (1, True)


@pytest.mark.parametrize("text", ["admin: {state: [1]}", "routes: [{name: 7}, 5]\nadmin: {listen: 1}", "{"])
def test_a_file_in_the_middle_of_an_edit_stops_nobody_who_names_the_directory(text: str, tmp_path: Path) -> None:
    path = tmp_path / "edited.yaml"
    path.write_text(text)
    (tmp_path / "state").mkdir()
    told = strangler("rollback", "--all", "--local", "--state", tmp_path / "state", "--config", path)
    assert told.code == 0, told.err
    assert "No proxy runs here with this directory" in told.out
