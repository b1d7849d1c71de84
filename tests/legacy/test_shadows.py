"""What a shadow may do in Rails: read. What it tries beyond that is refused by PostgreSQL and Redis themselves."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from demo.stack import LEGACY, Application, rails_environment, start_redis
from demo.stores import SHADOW
from tests.parity import tokens

TEMPTED = "metrics where name = 'tempted'"
# What a user's request does, and whether it leaves something in PostgreSQL or in Redis, or says something there.
WRITES = [
    "insert",
    "insert, and say nothing of it",
    "insert after a select",
    "insert by a model",
    "unset what is only a setting",
    "begin to write",
    "set a key",
    "set a key, and say nothing of it",
    "set a key by a script",
    "set a key in a transaction",
    "enqueue a job",
]
OTHERS = ["lock a row", "make a table", "keep an answer", "broadcast", "broadcast an event", "call Facebook"]
READS = ["nothing", "read a key"]


@dataclass(frozen=True, slots=True)
class Rails:
    process: subprocess.Popen[str]
    token: str
    application: Application
    database: psycopg.Connection
    store: redis.Redis
    log: Path

    def ask(self, deed: str, *, shadow: bool = True, **more: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"deed": deed, "shadow": shadow, "token": self.token, **more}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"status": "it is gone"}')
        return answer

    def left(self) -> tuple[list[Any], ...]:
        """What there is now that was not."""
        rows = self.database.execute(f"select name from {TEMPTED}").fetchall()  # noqa: S608  a literal
        tables = self.database.execute("select 1 from pg_class where relname = 'tempted'").fetchall()
        return rows, tables, sorted(self.store.keys("*"))


@pytest.fixture(scope="module")
def running(application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rails]:
    directory = tmp_path_factory.mktemp("shadows")
    server = start_redis(directory)
    with server.service, (directory / "rails.log").open("w") as log:
        own = replace(application, redis_url=server.url())
        environment = rails_environment(directory, own)
        command = ["bundle", "exec", "rails", "runner", str(Path(__file__).parent / "tempting.rb")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
        with (
            psycopg.connect(own.database_url, autocommit=True) as database,
            redis.Redis.from_url(own.redis_url, decode_responses=True) as store,
            subprocess.Popen(command, cwd=LEGACY, env=environment, **pipes) as process,
        ):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", (directory / "rails.log").read_text()
            token = tokens.authorizations(own.jwt_secret, int(time.time()))["agent"]
            yield Rails(process, token, own, database, store, directory / "rails.log")
            process.kill()


@pytest.fixture
def rails(running: Rails) -> Iterator[Rails]:
    running.store.flushall()
    yield running
    running.database.execute(f"delete from {TEMPTED}")  # noqa: S608  a literal


@pytest.mark.parametrize("deed", WRITES + OTHERS)
def test_a_shadow_that_tries_more_than_to_read_says_so_and_leaves_nothing(rails: Rails, deed: str) -> None:
    before = rails.left()
    told = rails.ask(deed)
    assert (told["status"], told["word"]) == (500, "wrote")
    assert told["body"].keys() == {"error", "requestId"}
    assert told["body"]["error"] == "internal_server_error"
    assert rails.left() == before


@pytest.mark.parametrize("deed", WRITES)
def test_a_user_does_the_same_unhindered(rails: Rails, deed: str) -> None:
    before = rails.left()
    told = rails.ask(deed, shadow=False)
    assert (told["status"], told["word"], told["body"]["data"]["id"]) == (200, None, 2)
    assert rails.left() != before


@pytest.mark.parametrize("deed", READS)
def test_a_shadow_that_only_reads_is_answered_as_a_user_is(rails: Rails, deed: str) -> None:
    user, shadow = rails.ask(deed, shadow=False), rails.ask(deed)
    assert (shadow["status"], shadow["word"], shadow["body"]) == (200, None, user["body"])


def test_a_shadow_does_not_get_out_of_its_role(rails: Rails) -> None:
    assert rails.ask("put on another role")["word"] == "wrote"


def test_a_shadow_calls_nobody(rails: Rails) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        somebody.settimeout(0)
        url = f"http://127.0.0.1:{somebody.getsockname()[1]}/"
        assert rails.ask("call somebody", somebody=url)["word"] == "wrote"
        with pytest.raises(BlockingIOError):
            somebody.accept()


def test_what_was_tried_is_in_the_log(rails: Rails) -> None:
    rails.ask("insert, and say nothing of it")
    line = json.loads(rails.log.read_text().splitlines()[-1])
    assert (line["status"], line["shadow"], line["user_id"]) == (500, True, 2)
    assert "(ActiveRecord::StatementInvalid)" in line["exception"]


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        ("grant update on metrics to", "may change metrics"),
        ("revoke select on metrics, messages from", "may not read messages, metrics"),
    ],
)
def test_a_role_that_may_do_more_or_less_is_not_asked(rails: Rails, right: str, reason: str) -> None:
    rails.database.execute(f"{right} {SHADOW}")
    try:
        assert told_of(rails.ask("nothing", fault="none")) == (503, "refused")
        assert f"the role of SHADOW_DATABASE_URL {reason}" in rails.log.read_text().splitlines()[-1]
    finally:
        rails.database.execute(f"revoke all on metrics from {SHADOW}")
        rails.database.execute(f"grant select on metrics, messages to {SHADOW}")
    assert told_of(rails.ask("nothing")) == (200, None)


def test_without_a_connection_for_it_a_shadow_is_refused_and_users_are_served(rails: Rails) -> None:
    try:
        assert told_of(rails.ask("nothing", fault="all connections taken")) == (503, "refused")
        assert "could not obtain a connection" in rails.log.read_text().splitlines()[-1]
        assert told_of(rails.ask("nothing", shadow=False)) == (200, None)
    finally:
        rails.ask("nothing", shadow=False, fault="connections back")
    assert told_of(rails.ask("nothing")) == (200, None)


def told_of(answer: dict[str, Any]) -> tuple[int, str | None]:
    return answer["status"], answer["word"]


# The last ones: nothing in this process is mended after them.
@pytest.mark.parametrize(
    ("fault", "deed", "reason"),
    [
        ("a user that may write", "read a key", "the user of SHADOW_REDIS_URL may write"),
        ("without addresses", "nothing", "set SHADOW_DATABASE_URL and SHADOW_REDIS_URL"),
    ],
)
def test_without_what_it_may_read_by_a_shadow_is_refused(rails: Rails, fault: str, deed: str, reason: str) -> None:
    assert told_of(rails.ask(deed, fault=fault)) == (503, "refused")
    assert reason in rails.log.read_text().splitlines()[-1]
    assert told_of(rails.ask(deed, shadow=False)) == (200, None)
