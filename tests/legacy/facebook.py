"""Both sides, the job worker and a double of Facebook over one database: what a test of them asks and tells."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import redis

from demo import graph, stack
from demo.graph import Graph
from demo.mortal import Mortal
from demo.service import Service
from demo.stack import Application
from handlers import tokens
from handlers.tokens import Caller

Row = dict[str, Any]
AGENT = Caller(user_id=2, account_id=1)
ACME_PAGE, ACME_INBOX = "acme-page", 2
ENDED = re.compile(r"class=\w+ jid=(\w+) elapsed=\S+ INFO: (?:done|fail)$", re.MULTILINE)
STARTED = re.compile(r"class=\w+ jid=(\w+) INFO: start$", re.MULTILINE)
WITHIN = 60.0  # seconds, on a busy machine too


@dataclass(frozen=True, slots=True)
class World:
    application: Application
    sides: dict[str, Service]
    worker: Mortal
    graph: Graph
    redis_server: stack.Redis
    database: psycopg.Connection[Row]
    store: redis.Redis

    @property
    def sidekiq(self) -> Service:
        return self.worker.service

    def eventually(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, self.sidekiq.log.read_text()[-4000:]
            self.database.execute("select pg_sleep(0.02)")

    def rows(self, statement: str, *values: object) -> list[Row]:
        return self.database.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Row:
        (found,) = self.rows(statement, *values)
        return found

    def deliver(self, side: str, *entries: Row) -> int:
        """Facebook delivers once; how that is answered."""
        return graph.deliver(self.sides[side].url, self.application.facebook_app_secret, *entries)

    def reply(self, conversation: int, content: str, side: str = "legacy") -> int:
        """An agent's message; its id."""
        authorization = f"Bearer {tokens.issue(AGENT, self.application.jwt_secret, int(time.time()))}"
        body = {"content": content, "conversationId": conversation}
        url = f"{self.sides[side].url}/api/v1/messages"
        answer = httpx.post(url, json=body, headers={"Authorization": authorization}, timeout=30)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["data"]["id"])

    def enqueue(self, job: str, *args: object, **more: object) -> str:
        jid, now = secrets.token_hex(12), time.time()
        payload = {"class": job, "args": args, "jid": jid, "queue": "default", "retry": True, "created_at": now} | more
        self.store.lpush("queue:default", json.dumps(payload))
        return jid

    def work_done(self) -> None:
        """Return when the worker has nothing to do and does nothing."""

        def idle() -> bool:
            # Whatever was taken from the queue before this one has begun by the time that this one has ended.
            marker = self.enqueue("NotifyAgentsJob", 0)
            self.eventually(lambda: marker in ENDED.findall(self.sidekiq.log.read_text()))
            log = self.sidekiq.log.read_text()
            return sorted(STARTED.findall(log)) == sorted(ENDED.findall(log)) and not self.store.llen("queue:default")

        self.eventually(idle)

    def perform(self, job: str, *args: object, **more: object) -> None:
        """Run a job to its end."""
        self.enqueue(job, *args, **more)
        self.work_done()

    def retries(self, job: str) -> list[tuple[Row, float]]:
        """The jobs that are to be tried again, and how many seconds after their failure."""
        found: list[Any] = self.store.zrange("retry", 0, -1, withscores=True)
        waiting = [(json.loads(payload), at) for payload, at in found]
        return [(was, at - was.get("retried_at", was["failed_at"])) for was, at in waiting if was["class"] == job]

    def try_again(self) -> None:
        """Bring forward what waits for its time, as the worker does when it has come."""
        found: list[Any] = self.store.zrange("retry", 0, -1)
        for payload in found:
            if self.store.zrem("retry", payload):
                self.store.lpush("queue:default", payload)
        self.work_done()

    @contextmanager
    def listening(self, *streams: str) -> Iterator[Callable[[], list[Row]]]:
        """What is broadcast to some streams, as a list that grows; asking for it takes in what has come."""
        heard: list[Row] = []
        with self.store.pubsub() as channel:  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            channel.subscribe(*streams)
            for _ in streams:
                assert channel.get_message(timeout=5)

            def so_far() -> list[Row]:
                while told := channel.get_message(timeout=0.02):
                    heard.append(json.loads(told["data"]))
                return heard

            yield so_far
