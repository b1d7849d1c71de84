"""Rails and native side by side: one database, one Redis, and nobody else who uses them."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from demo.service import Service, await_ready, free_port, launch
from demo.stack import Application, Postgres, start_rails, start_redis
from tests.handlers.copying import copied
from tests.parity import stage, tokens
from tests.parity.sides import LEGACY, NATIVE, Sides

ROOT = Path(__file__).parent.parent.parent


def start_native(directory: Path, application: Application) -> Service:
    """The native application by itself, as `handlers.app:app` under uvicorn."""
    port = free_port()
    service = launch(
        "native",
        [sys.executable, "-m", "uvicorn", "handlers.app:app", "--port", str(port), "--no-server-header"],
        port=port,
        log=directory / "native.log",
        environment=application.environment() | {"PYTHONPATH": str(ROOT)},
        directory=ROOT,
    )
    await_ready(service, lambda: "startup complete" in service.log.read_text())
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
        rails = services.enter_context(start_rails(directory, own, name="parity-rails"))
        native = services.enter_context(start_native(directory, own))
        authorizations = tokens.authorizations(own.jwt_secret, int(time.time()))
        yield Sides({LEGACY: rails.port, NATIVE: native.port}, authorizations)


@pytest.fixture
def database(own: Application) -> Iterator[psycopg.Connection]:
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis(own: Application) -> Iterator[Redis]:
    with Redis.from_url(own.redis_url, decode_responses=True) as client:
        yield client
