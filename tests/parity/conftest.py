"""Rails and native side by side: one database, one Redis, and nobody else who uses them."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from demo.service import Service, await_ready, free_port, launch
from demo.stack import Application, Postgres, start_rails, start_redis
from tests.handlers.copying import copied
from tests.parity import rules, stage, tokens
from tests.parity.apart import Apart, Line
from tests.parity.sides import LEGACY, NATIVE, Sides

ROOT = Path(__file__).parent.parent.parent
# This machine may be busy, and what is kept is to be found.
PATIENT = {"CACHE_WAIT": "30", "REDIS_WAIT": "30", "SHADOW_DEADLINE": "30", "SHADOW_CONCURRENCY": "5"}


def start_native(
    directory: Path,
    application: Application,
    *,
    name: str = "native",
    module: str = "handlers.app",
    extra: Mapping[str, str] | None = None,
) -> Service:
    """The native application by itself, the `app` of a module, under uvicorn. `extra` adds to its environment."""
    port, patient = free_port(), {"REQUEST_LIMIT": "30"}  # this machine may be busy
    service = launch(
        name,
        [sys.executable, "-m", "uvicorn", f"{module}:app", "--port", str(port), "--no-server-header"],
        port=port,
        log=directory / f"{name}.log",
        environment=application.environment() | {"PYTHONPATH": str(ROOT)} | patient | dict(extra or {}),
        directory=ROOT,
    )
    await_ready(service, lambda: "Uvicorn running" in service.log.read_text())
    return service


@pytest.fixture(scope="session")
def own(
    application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    """The seeds with the stage, and a Redis that no Sidekiq works on: jobs stay to be looked at."""
    redis = start_redis(tmp_path_factory.mktemp("parity"))
    with redis.service:
        own = copied(application, postgres, "parity", redis.url())
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            stage.build(connection)
        yield own


@pytest.fixture(scope="session")
def sides(own: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with contextlib.ExitStack() as services:
        directory = tmp_path_factory.mktemp("sides")
        rails = services.enter_context(start_rails(directory, own, name="parity-rails", extra=PATIENT))
        native = services.enter_context(start_native(directory, own, extra=PATIENT))
        authorizations = tokens.authorizations(own.jwt_secret, int(time.time()))
        client = services.enter_context(Redis.from_url(own.redis_url))

        def forget() -> None:
            client.incr("cache:epoch:legacy")
            client.incr("cache:epoch:native")

        yield Sides({LEGACY: rails.port, NATIVE: native.port}, authorizations, forget)


@pytest.fixture(scope="session")
def own_states(
    application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Application]]:
    """The seeds with the stage for one side, a copy of these for the other, and a Redis for each."""
    with contextlib.ExitStack() as services:
        servers = [start_redis(tmp_path_factory.mktemp("apart")) for _ in range(2)]
        for server in servers:
            services.enter_context(server.service)
        legacy = copied(application, postgres, "apart_legacy", servers[0].url())
        with psycopg.connect(legacy.database_url, autocommit=True) as connection:
            stage.build(connection)
        native = copied(legacy, postgres, "apart_native", servers[1].url())
        states = {LEGACY: legacy, NATIVE: native}
        yield states


@pytest.fixture(scope="session")
def apart(own_states: dict[str, Application], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    since = rules.beginning(datetime.now(UTC))
    with contextlib.ExitStack() as services:
        directory = tmp_path_factory.mktemp("apart")
        rails = services.enter_context(start_rails(directory, own_states[LEGACY], name="apart-rails", extra=PATIENT))
        native = services.enter_context(start_native(directory, own_states[NATIVE], name="apart-native", extra=PATIENT))
        threads = services.enter_context(ThreadPoolExecutor(2))
        authorizations = tokens.authorizations(own_states[NATIVE].jwt_secret, int(since.timestamp()))
        lines = {LEGACY: Line(rails.port), NATIVE: Line(native.port)}
        yield Apart(lines, authorizations, since, threads)
        for line in lines.values():
            line.close()


@pytest.fixture
def database(own: Application) -> Iterator[psycopg.Connection]:
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis(own: Application) -> Iterator[Redis]:
    with Redis.from_url(own.redis_url, decode_responses=True) as client:
        yield client
