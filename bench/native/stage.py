"""Both sides on one PostgreSQL and one Redis, with as many processes each, over small tables and large ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from bench.machine import ROOT
from bench.native import grown
from bench.native.asked import EAGER, LEGACY, NATIVE, NATIVE_SMALL
from bench.servers import listening
from demo.service import Service, free_port, launch
from demo.stack import Application, prepare_database, start_rails
from demo.stores import INHERITED, Postgres, start_postgresql, start_redis
from handlers import tokens
from handlers.tokens import Caller

THREADS = 5  # of each of Rails' processes
# Servers by who is measured, over the grown tables and over those of the seeds, with so many processes each.
Starts = Callable[[Path, Application, Application, int], dict[str, Service]]


@dataclass(frozen=True, slots=True)
class Stage:
    servers: Mapping[str, Service]
    stores: tuple[Service, ...]  # PostgreSQL and Redis, which both sides share
    application: Application
    small: Application
    rows: Mapping[str, int]
    processes: int

    def tokens(self) -> dict[str, str]:
        now, secret = int(time.time()), self.application.jwt_secret
        callers = {"agent": Caller(user_id=2, account_id=1), "admin": Caller(user_id=1, account_id=1)}
        return {name: tokens.issue(caller, secret, now) for name, caller in callers.items()}


def both_sides(directory: Path, big: Application, small: Application, processes: int) -> dict[str, Service]:
    return {
        NATIVE: _native(directory, big, processes, "native"),
        NATIVE_SMALL: _native(directory, small, processes, "native-small"),
        EAGER: _rails(directory, big, processes, "rails-eager", {"EAGER": "1"}),
        LEGACY: _rails(directory, big, processes, "rails", {}),
    }


def pools(sizes: Sequence[int]) -> Starts:
    """Native several times, each with a pool of another size."""

    def start(directory: Path, big: Application, small: Application, processes: int) -> dict[str, Service]:
        return {
            str(size): _native(directory, big, processes, f"native-{size}", {"DATABASE_POOL": str(size)})
            for size in sizes
        }

    return start


@contextmanager
def staged(directory: Path, processes: int, messages: int, start: Starts = both_sides) -> Iterator[Stage]:
    with ExitStack() as running:
        postgres = start_postgresql(directory)
        running.enter_context(postgres.service)
        redis = [start_redis(running.enter_context(_folder(directory, name))) for name in ("redis", "redis-small")]
        for server in redis:
            running.enter_context(server.service)
        small = Application(postgres.url(), redis[1].url(), seed_bcrypt_cost=4)
        prepare_database(directory, small)
        with psycopg.connect(small.database_url, autocommit=True) as connection:
            connection.execute("vacuum analyze")
            # Housekeeping would fall on whoever is measured just then.
            connection.execute("alter system set autovacuum = off")
            connection.execute("select pg_reload_conf()")
        big = replace(small, database_url=_copy(postgres, "grown"), redis_url=redis[0].url())
        rows = grown.grow(big.database_url, messages)
        servers = start(directory, big, small, processes)
        for service in servers.values():
            running.enter_context(service)
        yield Stage(servers, (postgres.service, redis[0].service), big, small, rows, processes)


@contextmanager
def _folder(directory: Path, name: str) -> Iterator[Path]:
    path = directory / name
    path.mkdir()
    yield path


def _copy(postgres: Postgres, name: str) -> str:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template legacy")
    return postgres.url(name)


def _rails(directory: Path, application: Application, processes: int, name: str, extra: dict[str, str]) -> Service:
    # Neither side writes a line for a request that went well.
    return start_rails(
        directory, application, name=name, workers=processes, threads=THREADS, extra={"LOG_LEVEL": "warn", **extra}
    )


def _native(
    directory: Path, application: Application, processes: int, name: str, extra: Mapping[str, str] | None = None
) -> Service:
    port = free_port()
    service = launch(
        name,
        [sys.executable, "-m", "bench.native.served", str(port), str(processes)],
        port=port,
        log=directory / f"{name}.log",
        environment=INHERITED | application.environment() | {"PYTHONPATH": str(ROOT), **(extra or {})},
        directory=ROOT,
    )
    return listening(service)


def sizes(stage: Stage) -> dict[str, Any]:
    return {"processes of each side": stage.processes, "threads of each of Rails'": THREADS, "rows": dict(stage.rows)}
