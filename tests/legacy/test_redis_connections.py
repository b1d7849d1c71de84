"""How Rails keeps its connections to Redis: over TLS, where Redis has hung up, and where it takes nobody more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from demo.service import free_port
from demo.stack import LEGACY
from tests.contract.redis_groups import running, tls_options
from tests.contract.redis_process import RedisProcess
from tests.proxy.certificates import Authority

Server = Callable[[Path], AbstractContextManager[Mapping[str, str]]]

CLIENTS = 30
ONE_AFTER_ANOTHER = f"""
{CLIENTS}.times do
  REDIS.with do |redis|
    redis.set("a", 1)
    @received = redis.info("stats")["total_connections_received"]
    redis.close
  end
end
print @received
"""
HUNG_UP = """
REDIS.with do |redis|
  CACHE.with { |other| other.client(:kill, "id", redis.client(:id)) }
  print redis.set("a", 1)
end
"""
# What Redis says to whom it refuses is there before the first command is sent.
ONE_TOO_MANY = """
module Unhurried
  def establish_connection = super.tap { connection.instance_variable_get(:@sock).wait_readable(5) }
end
REDIS.with do |redis|
  redis.ping
  Redis::Client.prepend(Unhurried)
  CACHE.with(&:ping)
rescue Redis::BaseError => error
  print error.message
end
"""


@contextmanager
def plain(directory: Path, *options: str) -> Iterator[Mapping[str, str]]:
    """The environment in which Rails finds it."""
    with running(RedisProcess(directory, options=options)) as server:
        yield {"REDIS_URL": server.url(1)}


@contextmanager
def secured(directory: Path) -> Iterator[Mapping[str, str]]:
    authority, port = Authority.founded(directory), free_port()
    options = [*tls_options(authority.sign("redis", "IP:127.0.0.1"), authority, port), "--tls-auth-clients", "no"]
    with running(RedisProcess(directory, port, options)):
        yield {"REDIS_URL": f"rediss://127.0.0.1:{port}/1", "SSL_CERT_FILE": str(authority.own.certificate)}


def said(script: str, environment: Mapping[str, str]) -> str:
    """What a process prints that has Rails' own pools of connections, and nothing else of it."""
    files = [
        "redis",
        "connection_pool",
        "active_support/all",
        "./app/services/shadow.rb",
        "./config/initializers/redis.rb",
    ]
    command = ["ruby", *(word for file in files for word in ("-r", file)), "-e", script]
    patient = {"CACHE_WAIT": "5"}  # this machine may be busy
    done = subprocess.run(
        command, cwd=LEGACY, env=os.environ | environment | patient, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def test_what_tls_says_for_itself_ends_no_connection(tmp_path: Path) -> None:
    with secured(tmp_path) as environment:
        assert said(ONE_AFTER_ANOTHER, environment) == str(CLIENTS)


@pytest.mark.parametrize("server", [plain, secured])
def test_a_connection_that_redis_has_ended_is_not_asked(server: Server, tmp_path: Path) -> None:
    with server(tmp_path) as environment:
        assert said(HUNG_UP, environment) == "OK"


def test_who_is_one_too_many_for_redis_is_told_so(tmp_path: Path) -> None:
    with plain(tmp_path, "--maxclients", "1") as environment:
        assert "max number of clients" in said(ONE_TOO_MANY, environment)
