"""The services that everything runs on: PostgreSQL, Redis, the legacy application with its job worker, a Facebook.

`python -m demo.stack` starts them all, seeded, and stops them on Ctrl-C. Whoever needs fewer calls the functions.
Services listen on loopback only and keep their files and logs in the directory that they are given.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx
import redis

from demo.graph import Graph, start_graph
from demo.mortal import Mortal
from demo.service import Service, ServiceError, await_ready, free_port, launch, run
from demo.stores import INHERITED, Postgres, Redis, of_shadows, start_postgresql, start_redis

__all__ = [
    "INHERITED",
    "Application",
    "Postgres",
    "Redis",
    "Stack",
    "prepare_database",
    "running_stack",
    "start_postgresql",
    "start_rails",
    "start_redis",
    "start_sidekiq",
]

LEGACY = Path(__file__).parent.parent / "legacy"


@dataclass(frozen=True, slots=True)
class Application:
    """What every process of the messaging application must agree on, whichever side it is of."""

    database_url: str
    redis_url: str
    jwt_secret: str = "demo-secret-that-protects-nothing"
    seed_bcrypt_cost: int = 12
    facebook_app_secret: str = "demo-app-secret"
    facebook_verify_token: str = "demo-verify-token"
    graph_url: str = "http://127.0.0.1:9"  # where nobody listens: never the real one by accident

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SHADOW_DATABASE_URL": of_shadows(self.database_url),
            "SHADOW_REDIS_URL": of_shadows(self.redis_url),
            "JWT_SECRET": self.jwt_secret,
            "SEED_BCRYPT_COST": str(self.seed_bcrypt_cost),
            "FACEBOOK_APP_SECRET": self.facebook_app_secret,
            "FACEBOOK_VERIFY_TOKEN": self.facebook_verify_token,
            "GRAPH_URL": self.graph_url,
        }


def prepare_database(directory: Path, application: Application) -> None:
    """Bring the schema up to date, fill it with the seeds, replacing what is there, and let shadows read it."""
    tasks = ["db:migrate", "db:seed", "shadow:role"]
    command = ["bundle", "exec", "rails", *tasks]
    run(f"rails {' '.join(tasks)}", command, environment=rails_environment(directory, application), directory=LEGACY)


def start_rails(
    directory: Path,
    application: Application,
    *,
    name: str = "rails",
    workers: int = 2,
    threads: int = 5,
    port: int | None = None,
    extra: Mapping[str, str] | None = None,
) -> Service:
    """The legacy application on puma, as in production. `extra` adds to its environment, such as `EAGER=1`."""
    port = port or free_port()
    sizes = {"PORT": str(port), "WEB_CONCURRENCY": str(workers), "RAILS_MAX_THREADS": str(threads)}
    service = launch(
        name,
        ["bundle", "exec", "puma", "-C", "config/puma.rb"],
        port=port,
        log=directory / f"{name}.log",
        environment=rails_environment(directory, application) | sizes | dict(extra or {}),
        directory=LEGACY,
    )
    await_ready(service, lambda: _answers_http(f"{service.url}/up"))
    return service


def start_sidekiq(directory: Path, application: Application, *, extra: Mapping[str, str] | None = None) -> Service:
    """The legacy application's job worker. It has no port: 0."""
    service = launch(
        "sidekiq",
        ["bundle", "exec", "sidekiq", "-C", "config/sidekiq.yml", "-r", "."],
        port=0,
        log=directory / "sidekiq.log",
        environment=rails_environment(directory, application) | dict(extra or {}),
        directory=LEGACY,
    )
    await_ready(service, lambda: _takes_jobs(application.redis_url, service.process.pid))
    return service


def rails_environment(directory: Path, application: Application) -> dict[str, str]:
    # Bundler writes Gemfile.lock beside the Gemfile: a copy keeps it out of the work tree.
    gemfile = directory / "Gemfile"
    shutil.copyfile(LEGACY / "Gemfile", gemfile)
    return {
        **INHERITED,
        **application.environment(),
        "BUNDLE_GEMFILE": str(gemfile),
        "RAILS_ENV": "production",
        "SECRET_KEY_BASE": "demo" * 16,
        "DISABLE_DATABASE_ENVIRONMENT_CHECK": "1",  # the seeds may replace what is in this database
    }


def _answers_http(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _takes_jobs(redis_url: str, pid: int) -> bool:
    with redis.Redis.from_url(redis_url) as client:
        workers = client.smembers("processes")  # Sidekiq's own list: host:pid:nonce
    return any(f":{pid}:".encode() in worker for worker in workers)


@dataclass(frozen=True, slots=True)
class Stack:
    directory: Path
    postgres: Postgres
    redis: Redis
    application: Application
    graph: Graph
    rails: Mortal
    sidekiq: Service


@contextlib.contextmanager
def running_stack(*, seed_bcrypt_cost: int = 12, extra: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """All of them, seeded, for as long as the block runs; nothing is left afterwards. `extra` is for Rails."""
    with contextlib.ExitStack() as services:
        directory = Path(services.enter_context(tempfile.TemporaryDirectory(prefix="strangler-")))
        postgres = start_postgresql(directory)
        services.enter_context(postgres.service)
        server = start_redis(directory)
        services.enter_context(server.service)
        graph = start_graph(directory)
        services.enter_context(graph.service)
        application = Application(
            postgres.url(), server.url(), seed_bcrypt_cost=seed_bcrypt_cost, graph_url=graph.service.url
        )
        prepare_database(directory, application)
        rails_port = free_port()

        def start() -> Service:
            return start_rails(directory, application, port=rails_port, extra=extra)

        rails = services.enter_context(Mortal(start))
        sidekiq = services.enter_context(start_sidekiq(directory, application))
        yield Stack(directory, postgres, server, application, graph, rails, sidekiq)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.stack", description=__doc__)
    parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        with running_stack() as stack:
            print(f"Rails       {stack.rails.service.url}")
            print(f"PostgreSQL  {stack.application.database_url}")
            print(f"Redis       {stack.application.redis_url}")
            print(f"Facebook    {stack.graph.service.url}")
            print(f"JWT_SECRET  {stack.application.jwt_secret}")
            print(f"Logs        {stack.directory}")
            print("Sign in as agent1@acme.example with the password: password. Ctrl-C stops everything.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main())
