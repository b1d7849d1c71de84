"""Both sides as processes behind the proxy, to be killed and started again; and what is left in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml
from redis import Redis

from demo.mortal import Mortal
from demo.promises import MARK
from demo.service import LOOPBACK, Service, await_ready, free_port, launch
from demo.site import PATIENT
from demo.stack import Application, start_rails, start_sidekiq
from tests.e2e.proxies import ROOT, STRANGLER, Proxy, environment, running, until

NOTED = ("CountReplyJob", "RunAutomationRulesJob")  # jobs that note for which messages they are done


@dataclass(frozen=True, slots=True)
class Site:
    proxy: Proxy
    legacy: Mortal
    native: Mortal

    @property
    def cache_gone(self) -> int:
        """How often a side has taken the cache for gone."""
        return sum(side.service.log.read_text().count("cache_away") for side in (self.native, self.legacy))


@contextmanager
def strangled(directory: Path, application: Application) -> Iterator[Site]:
    """Every route that the project's own configuration names, half native."""
    legacy_port, native_port = free_port(), free_port()
    told = yaml.safe_load((ROOT / "config.yaml").read_text())
    config: dict[str, Any] = {
        "legacy": {"url": f"http://{LOOPBACK}:{legacy_port}"},
        "native": {"url": f"http://{LOOPBACK}:{native_port}"},
        # Native's deaths are failures like any others and would roll its routes back: that is another test's matter.
        # Here users must come through while it goes on answering half of them.
        "rollback": {"judge": "threshold", "min_requests": 1_000_000},
        "routes": [{**route, "share": "50%"} for route in told["routes"]],
    }
    variables = {**application.environment(), **PATIENT}

    def start_legacy() -> Service:
        return start_rails(directory, application, name="killed-rails", port=legacy_port, extra=PATIENT)

    def start_native() -> Service:
        path = directory / "native.yaml"
        path.write_text(yaml.safe_dump({**config, "native": {**config["native"], "app": "handlers.app:app"}}))
        command = [*STRANGLER, "handlers", "--config", path]
        log = directory / "killed-native.log"
        service = launch(
            "native", command, port=native_port, log=log, environment=environment(variables), directory=ROOT
        )
        await_ready(service, lambda: _answers(service.url))
        return service

    with ExitStack() as services:
        legacy = services.enter_context(Mortal(start_legacy))
        native = services.enter_context(Mortal(start_native))
        services.enter_context(start_sidekiq(directory, application))
        proxy = services.enter_context(running(directory, config, variables))
        until(proxy, lambda: proxy.metric("strangler_native_ready") == 1)
        yield Site(proxy, legacy, native)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 404
    except httpx.TransportError:
        return False


def kill(*sides: Mortal) -> None:
    """All of them, and only then start them again."""
    for side in sides:
        side.kill()
    for side in sides:
        side.revive()


def without_jobs(database: psycopg.Connection) -> set[int]:
    """Messages that users sent here and that not all jobs have been done for."""
    statement = """
    select m.id from messages m
     where m.content like %s and m.user_id is not null
       and ((select count(*) from notifications where message_id = m.id)
            <> (select count(*) - 1 from users where account_id = m.account_id)
            or (select count(*) from finished_jobs where message_id = m.id and job = any (%s)) <> %s)"""
    rows = database.execute(statement, [f"{MARK}%", list(NOTED), len(NOTED)])
    return {id for (id,) in rows}


def replies(database: psycopg.Connection) -> int:
    """How many replies of agents were counted."""
    row = database.execute("select sum(value)::bigint from metrics where name = 'replies'").fetchone()
    return int(row[0]) if row else 0


def waiting(database: psycopg.Connection, redis: Redis) -> int:
    """Jobs that nobody has begun."""
    row = database.execute("select count(*) from outbox").fetchone()
    rows = int(row[0]) if row else 0
    return rows + sum(int(n) for n in (redis.llen("queue:default"), redis.zcard("retry"), redis.zcard("dead")))
