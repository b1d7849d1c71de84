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
from demo.stores import DATABASE, SHADOW
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
    *(f"set a key as another user by {command}" for command in ("AUTH", "HELLO", "RESET")),
    "enqueue a job",
    "insert by the role of users",
    "insert by the role of users, and say nothing of it",
    "insert past the adapter",
    "insert past the adapter as it is",
    "insert past the adapter by results that are passed over",
    "insert past the adapter by results that are looked at",
    "copy past the adapter",
    "insert by the role of users from now on",
    "insert by the pool of users",
    "insert on a connection of users",
    "insert on a connection of its own",
    "insert in a thread",
    "insert in a thread that is started",
    "insert in a thread of a thread",
    "insert in a worker",
    "insert in a task for later",
    "insert in a task for now",
    "insert by a process",
    "insert by a path",
    "set a key by a client of its own",
    "set a key by a client that was kept",
    "set a key in a thread",
    "set a key by a client of Sidekiq",
    "insert while the body is read",
    "set a key while the body is read",
    "insert after the reply",
    "set a key after the reply",
]
DATAGRAMS = ["by any socket", "to an address", "as a message"]
WAYS_OUT = [
    "greet a mail server",
    "connect a socket",
    "send a datagram",
    "send a datagram, non-blocking",
    *(f"send a datagram {way}" for way in DATAGRAMS),
]
BY_OTHERS = [
    "find a socket by name",
    "have a shell do it",
    "open a path that is a command",
    *(f"{name} what a command says" for name in ("open", "read", "binread", "readlines", "foreach")),
    *(f"{name} to a command" for name in ("write", "binwrite")),
    *(f"{name} at a terminal" for name in ("spawn", "getpty")),
    "go to the background",
]
POOLS = ["insert by another pool", "give up users' pool"]
TOLD = ["broadcast", "broadcast an event", "call Facebook"]
OTHERS = [*WAYS_OUT, *BY_OTHERS, *POOLS, *TOLD, "lock a row", "make a table", "keep an answer"]
READS = [
    "nothing",
    "read a key",
    "read a file",
    "give threads keywords",
    "read past the adapter",
    "read while the body is read",
    "fail after the reply",
]


@dataclass(frozen=True, slots=True)
class Rails:
    process: subprocess.Popen[str]
    tokens: dict[str, str]
    application: Application
    database: psycopg.Connection
    store: redis.Redis
    log: Path

    def ask(self, deed: str, *, shadow: bool = True, **more: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"deed": deed, "shadow": shadow, "token": self.tokens["agent"], **more}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"status": "it is gone"}')
        return answer

    def left(self) -> tuple[list[Any], ...]:
        """What there is now that was not."""
        rows = self.database.execute(f"select name from {TEMPTED}").fetchall()  # noqa: S608  a literal
        tables = self.database.execute("select 1 from pg_class where relname = 'tempted'").fetchall()
        return rows, tables, sorted(self.store.keys("*"))

    def forget(self) -> None:
        self.store.flushall()
        self.database.execute(f"delete from {TEMPTED}")  # noqa: S608  a literal


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
            callers = tokens.authorizations(own.jwt_secret, int(time.time()))
            yield Rails(process, callers, own, database, store, directory / "rails.log")
            process.kill()


@pytest.fixture
def rails(running: Rails) -> Iterator[Rails]:
    running.forget()
    yield running
    running.forget()


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
    rails.ask("nothing", shadow=False)
    before = rails.left()
    told = rails.ask(deed, shadow=False)
    assert (told["status"], told["word"], told["body"]["data"]["id"]) == (200, None, 2)
    assert rails.left() != before


@pytest.mark.parametrize("deed", READS)
def test_a_shadow_that_only_reads_is_answered_as_a_user_is(rails: Rails, deed: str) -> None:
    user, shadow = rails.ask(deed, shadow=False), rails.ask(deed)
    assert (shadow["status"], shadow["word"], shadow["body"]) == (200, None, user["body"])


@pytest.mark.parametrize(("deed", "status"), [("nothing", 200), ("fail", 500), ("insert", 500)])
def test_a_shadow_is_told_as_whom_it_was_asked_whatever_comes_of_it_and_users_are_not(
    rails: Rails, deed: str, status: int
) -> None:
    for caller, role in (("agent", "agent"), ("admin", "admin"), ("gone", None), ("user of another account", None)):
        told = rails.ask(deed, token=rails.tokens[caller])
        assert (told["status"], told["role"]) == (status, role)
        assert rails.ask(deed, token=rails.tokens[caller], shadow=False)["role"] is None
    assert rails.ask(deed, token=rails.tokens["expired"])["role"] is None


def test_a_role_is_remembered_for_a_while(rails: Rails) -> None:
    assert rails.ask("nothing", token=rails.tokens["stranger"])["role"] == "agent"
    rails.database.execute("update users set role = 'admin' where id = 16")
    try:
        assert rails.ask("nothing", token=rails.tokens["stranger"])["role"] == "agent"
    finally:
        rails.database.execute("update users set role = 'agent' where id = 16")


def test_a_thread_that_outlives_its_shadow_is_still_one_and_a_user_s_is_not(rails: Rails) -> None:
    before = rails.left()
    for shadow in (True, False):
        assert told_of(rails.ask("leave a thread that inserts", shadow=shadow)) == (200, None)
        assert told_of(rails.ask("nothing", shadow=shadow, fault="go on")) == (200, None)
        assert (rails.left() == before) is shadow


@pytest.mark.parametrize("deed", ["insert by the role of users from now on", "insert in a worker", *POOLS])
def test_whatever_a_shadow_has_tried_users_and_other_shadows_fare_as_before(rails: Rails, deed: str) -> None:
    assert rails.ask(deed)["word"] == "wrote"
    before = rails.left()
    for write in ("insert", "insert in a worker", "set a key"):
        assert told_of(rails.ask(write, shadow=False)) == (200, None)
        assert rails.left() != before
        rails.forget()
    assert told_of(rails.ask("nothing")) == (200, None)


def test_a_task_for_later_is_whose_it_was_though_a_shadow_s_waits_beside_it(rails: Rails) -> None:
    assert told_of(rails.ask("leave a task for much later")) == (200, None)
    before = rails.left()
    assert told_of(rails.ask("insert in a task for later")) == (500, "wrote")
    assert rails.left() == before
    assert told_of(rails.ask("insert in a task for later", shadow=False)) == (200, None)
    assert rails.left() != before


def test_connections_that_a_shadow_s_workers_have_taken_come_back(rails: Rails) -> None:
    for _ in range(2):
        assert told_of(rails.ask("read in as many workers as can")) == (200, None)


def test_what_looks_after_everybody_s_connections_is_no_shadow_though_one_has_it_started(rails: Rails) -> None:
    before = rails.left()
    assert told_of(rails.ask("have connections reaped")) == (200, None)
    assert rails.left() != before


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
    assert "(PG::InsufficientPrivilege)" in line["exception"]


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        ("grant update (value) on metrics to", "may change metrics"),
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


def test_who_becomes_another_user_of_redis_leaves_no_connection_to_others(rails: Rails) -> None:
    for _ in range(2):
        assert told_of(rails.ask("set a key as another user by RESET")) == (500, "wrote")
        before = rails.left()
        assert told_of(rails.ask("set a key")) == (500, "wrote")
        assert rails.left() == before


# A thing, its owner, who has no rights in it, and what takes it back.
OWNED = [
    ("table owned ()", SHADOW, "drop table owned"),
    ("sequence owned", SHADOW, "drop sequence owned"),
    ("schema owned", SHADOW, "drop schema owned"),
    ("table owned ()", "parent", "drop table owned"),
]


@pytest.mark.parametrize(("thing", "owner", "back"), OWNED)
def test_a_role_that_owns_something_is_not_asked_nor_let_read(rails: Rails, thing: str, owner: str, back: str) -> None:
    kind = thing.split()[0]
    rails.database.execute(f"create role parent; grant parent to {SHADOW}; create {thing}")
    rails.database.execute(f"alter {kind} owned owner to {owner}; revoke all on {kind} owned from {owner}")
    if kind == "table":
        rails.database.execute(f"grant select on owned to {SHADOW}")
    try:
        owned_by_it(rails, "owned")
    finally:
        rails.database.execute(f"{back}; drop role parent")
    assert told_of(rails.ask("nothing", fault="none")) == (200, None)


def test_nor_is_one_that_owns_the_database(rails: Rails) -> None:
    rails.database.execute(
        f"alter database {DATABASE} owner to {SHADOW}; revoke all on database {DATABASE} from {SHADOW}"
    )
    try:
        owned_by_it(rails, DATABASE)
    finally:
        rails.database.execute(f"alter database {DATABASE} owner to postgres")
        rails.database.execute(f"revoke all on database {DATABASE} from {SHADOW}")
    assert told_of(rails.ask("nothing", fault="none")) == (200, None)


def owned_by_it(rails: Rails, owned: str) -> None:
    assert told_of(rails.ask("nothing", fault="none")) == (503, "refused")
    assert f"owns {owned}" in rails.log.read_text().splitlines()[-1]
    assert told_of(rails.ask("have the role made", shadow=False)) == (500, None)
    assert f"the role of SHADOW_DATABASE_URL owns {owned}" in rails.log.read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("ask PostgreSQL for long", "takes longer than SHADOW_DEADLINE"),
        ("be cut short", "a statement takes longer than SHADOW_DEADLINE"),
        ("answer without an end", "the answer has more than"),
        ("take the connection", "the answer takes the connection for itself"),
    ],
)
def test_a_shadow_that_has_no_end_is_refused(rails: Rails, deed: str, reason: str) -> None:
    assert told_of(rails.ask(deed)) == (503, "refused")
    assert reason in rails.log.read_text().splitlines()[-1]


def test_an_answer_that_is_made_too_slowly_is_refused(rails: Rails) -> None:
    try:
        assert told_of(rails.ask("nothing", fault="no time")) == (503, "refused")
        assert "the answer takes longer than SHADOW_DEADLINE" in rails.log.read_text().splitlines()[-1]
    finally:
        rails.ask("nothing", shadow=False, fault="time again")
    assert told_of(rails.ask("nothing")) == (200, None)


def test_a_shadow_that_is_slow_and_writes_says_so(rails: Rails) -> None:
    assert told_of(rails.ask("be cut short, and write")) == (500, "wrote")


def test_shadows_that_hang_leave_threads_to_users(rails: Rails) -> None:
    try:
        assert told_of(rails.ask("nothing", fault="shadows hang")) == (503, "refused")
        assert "as many shadows are under way as SHADOW_CONCURRENCY says" in rails.log.read_text().splitlines()[-1]
        assert told_of(rails.ask("nothing", shadow=False)) == (200, None)
    finally:
        rails.ask("nothing", shadow=False, fault="shadows go on")
    assert told_of(rails.ask("nothing")) == (200, None)


@pytest.mark.parametrize("deed", ["take places in turn", "take places in vain"])
def test_a_shadow_waits_for_a_place_while_others_come_and_go(rails: Rails, deed: str) -> None:
    assert told_of(rails.ask(deed, shadow=False)) == (200, None)


def test_without_a_connection_for_it_a_shadow_is_refused_and_users_are_served(rails: Rails) -> None:
    try:
        assert told_of(rails.ask("nothing", fault="all connections taken")) == (503, "refused")
        assert "could not obtain a connection" in rails.log.read_text().splitlines()[-1]
        assert told_of(rails.ask("nothing", shadow=False)) == (200, None)
    finally:
        rails.ask("nothing", shadow=False, fault="connections back")
    assert told_of(rails.ask("nothing")) == (200, None)


def told_of(answer: dict[str, Any]) -> tuple[int, str | None]:
    assert answer["word"] != "refused" or answer["role"] is None
    return answer["status"], answer["word"]


# The last ones: nothing in this process is mended after them.
@pytest.mark.parametrize(
    ("fault", "deed", "reason"),
    [
        ("a user that may publish", "read a key", "the user of SHADOW_REDIS_URL may PUBLISH"),
        ("a user that may write", "read a key", "the user of SHADOW_REDIS_URL may DEL, "),
        ("without addresses", "nothing", "set SHADOW_DATABASE_URL and SHADOW_REDIS_URL"),
    ],
)
def test_without_what_it_may_read_by_a_shadow_is_refused(rails: Rails, fault: str, deed: str, reason: str) -> None:
    assert told_of(rails.ask(deed, fault=fault)) == (503, "refused")
    assert reason in rails.log.read_text().splitlines()[-1]
    assert told_of(rails.ask(deed, shadow=False)) == (200, None)
