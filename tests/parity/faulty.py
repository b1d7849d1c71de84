"""Both sides over stores of their own, which may be stopped, frozen and started again, and what each says of it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis as Client
from redis.exceptions import ConnectionError

from demo.service import Service, await_ready, launch
from demo.stack import INHERITED, Application, Postgres, Redis, start_postgresql, start_rails, start_redis
from tests.handlers import sentry
from tests.handlers.copying import copied
from tests.handlers.sentry import Sentry
from tests.parity import tokens
from tests.parity.conftest import start_native
from tests.parity.sides import LEGACY, NATIVE, Case, Reply, Sides

PROJECTS = {LEGACY: 1, NATIVE: 2}
POOL = 2  # connections on either side
DISCARDED = "x-strangler-discarded"  # native's own word, to the proxy
Line = dict[str, Any]
Both = dict[str, Future[Reply]]


def again(service: Service, ready: Callable[[], bool]) -> Service:
    """The same program on the same port and the same files."""
    command = service.process.args
    assert isinstance(command, list)
    guarded = command[command.index("--") + 1 :]
    user = command[command.index("--reuid") + 1] if "--reuid" in command else None
    started = launch(
        service.name,
        guarded,
        port=service.port,
        log=service.log,
        environment=INHERITED,
        directory=Path("/"),
        user=user,
        stop_signal=service.stop_signal,
    )
    await_ready(started, ready)
    return started


def answers_sql(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def answers_ping(url: str) -> bool:
    try:
        with Client.from_url(url, socket_timeout=1) as client:
            return bool(client.ping())
    except ConnectionError:
        return False


def eventually(condition: Callable[[], bool], what: str, within: float = 30.0) -> None:
    deadline, pause = time.monotonic() + within, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"in {within:g} s it did not come true that {what}"
        pause.wait(0.02)


@dataclass(slots=True)
class Faulty:
    postgres: Postgres
    redis: Redis
    application: Application
    sides: Sides
    logs: dict[str, Path]
    sentry: Sentry
    threads: ThreadPoolExecutor
    services: contextlib.ExitStack
    _ids: Iterator[int] = field(default_factory=count)

    def start_postgresql(self) -> None:
        """Again, on the same port and the same files."""
        self.postgres = Postgres(again(self.postgres.service, lambda: answers_sql(self.application.database_url)))
        self.services.enter_context(self.postgres.service)

    def start_redis(self) -> None:
        self.redis = Redis(again(self.redis.service, lambda: answers_ping(self.application.redis_url)))
        self.services.enter_context(self.redis.service)

    def begin(self, case: Case, side: str) -> tuple[str, Future[Reply]]:
        """Asks, and waits for no answer; the request's id and what will be its answer."""
        identity = f"fault-{next(self._ids)}"
        asked = replace(case, headers=(*case.headers, ("X-Request-Id", identity)))
        return identity, self.threads.submit(self.sides.ask, side, asked)

    def served(self, *cases: Case) -> None:
        """Both sides answer as each case has it, at once."""
        for case in cases:
            for side in (LEGACY, NATIVE):
                reply = self.sides.ask(side, case)
                assert reply.status == case.status, f"{side} answered {reply}"

    def compare(self, case: Case, begun: dict[str, tuple[str, Future[Reply]]] | None = None) -> dict[str, Line]:
        """Both sides refuse the same way, and as the case has it. Returns the line of log that each has written."""
        begun = begun or {side: self.begin(case, side) for side in (LEGACY, NATIVE)}
        shown, lines = {}, {}
        for side, (identity, answer) in begun.items():
            reply = answer.result(timeout=30)
            assert reply.status == case.status, f"{side} answered {reply}"
            headers = {name: value for name, value in reply.compared.items() if name != DISCARDED}
            assert headers.pop("x-request-id") == identity
            shown[side] = reply.status, headers, reply.body.replace(identity.encode(), b"<id>")
            lines[side] = self.line(side, identity)
        assert shown[NATIVE] == shown[LEGACY], shown
        told = {side: comparable(line) for side, line in lines.items()}
        assert told[NATIVE] == told[LEGACY], lines
        return lines

    def line(self, side: str, identity: str) -> Line:
        """The one line of a request, of those that its side has written."""
        eventually(lambda: len(self.lines(side, identity)) > 0, f"{side} logs {identity}")
        (line,) = self.lines(side, identity)
        return line

    def lines(self, side: str, identity: str) -> list[Line]:
        return [line for line in self._written(side) if line.get("request_id") == identity]

    def complaints(self, side: str) -> list[Line]:
        """What the side has warned of, or worse."""
        return [line for line in self._written(side) if line.get("level") in ("warning", "error")]

    def _written(self, side: str) -> list[Line]:
        lines = self.logs[side].read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def waiting_for_a_lock(self, admin: psycopg.Connection) -> int:
        row = admin.execute("select count(*) from pg_stat_activity where wait_event_type = 'Lock'").fetchone()
        assert row is not None
        return int(row[0])


def comparable(line: Line) -> Line:
    """What is the same on both sides: all but the time it took, when it was, and where in the code."""
    assert line["duration_ms"] >= 0
    assert line["timestamp"].endswith("Z")
    different = {"duration_ms", "timestamp", "exception", "request_id"}
    return {name: value for name, value in line.items() if name not in different} | {"traced": "exception" in line}


@contextlib.contextmanager
def faulty(directory: Path, application: Application) -> Iterator[Faulty]:
    with contextlib.ExitStack() as services:
        postgres, redis = start_postgresql(directory), start_redis(directory)
        services.enter_context(postgres.service)
        services.enter_context(redis.service)
        own = copied(application, postgres, "faulty", redis.url())
        told = services.enter_context(sentry.listening())
        # Rails reads the size of its pool from the URL, where libpq knows no such word.
        theirs = {"DATABASE_URL": f"{own.database_url}?pool={POOL}", "SENTRY_DSN": told.dsn(PROJECTS[LEGACY])}
        # On a busy machine a connection that is lost is not replaced, and asked, within half a second.
        ours = {"DATABASE_POOL": str(POOL), "SENTRY_DSN": told.dsn(PROJECTS[NATIVE]), "REDIS_WAIT": "2"}
        rails = services.enter_context(start_rails(directory, own, name="faulty-rails", workers=0, extra=theirs))
        native = services.enter_context(start_native(directory, own, name="faulty-native", extra=ours))
        sides = Sides(
            {LEGACY: rails.port, NATIVE: native.port}, tokens.authorizations(own.jwt_secret, int(time.time()))
        )
        logs = {LEGACY: rails.log, NATIVE: native.log}
        threads = services.enter_context(ThreadPoolExecutor(8))
        yield Faulty(postgres, redis, own, sides, logs, told, threads, services)
