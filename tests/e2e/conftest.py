"""What the end-to-end tests stand on: a Redis for flags, and a small legacy where Rails would add nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from demo.service import Service, await_ready, free_port, launch
from demo.stack import start_redis
from tests.e2e.proxies import ROOT, environment


def start_side(name: str, directory: Path) -> Service:
    """One of the applications in `tests.e2e.sides`, in a process of its own."""
    port = free_port()
    service = launch(
        name,
        [sys.executable, "-m", "uvicorn", f"tests.e2e.sides:{name}", "--port", str(port), "--lifespan", "off"],
        port=port,
        log=directory / f"{name}-{port}.log",
        environment=environment({}),
        directory=ROOT,
    )
    await_ready(service, lambda: "Uvicorn running" in service.log.read_text())
    return service


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a legacy that says so: `{"side": "legacy"}`."""
    with start_side("legacy", tmp_path_factory.mktemp("origin")) as service:
        yield service.url


@pytest.fixture(scope="session")
def flags_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_redis(tmp_path_factory.mktemp("flags"))
    with server.service:
        yield server.url()


@pytest.fixture
def flags_redis(flags_server: str) -> str:
    """The address of an empty Redis for the flags."""
    with Redis.from_url(flags_server) as client:
        client.flushall()
    return flags_server
