"""PostgreSQL and Redis as children of this process, on loopback, with their files in the directory they are given."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

from demo.service import LOOPBACK, Service, ServiceError, await_ready, free_port, launch, run

DATABASE = "legacy"
SHADOW = "shadow"  # the role and the user by which shadows read, and their password
READS = ["on", f">{SHADOW}", "~*", "resetchannels", "nocommands", "+@read", "+@connection", "+eval", "-@dangerous"]
# What a service needs to know of the surroundings; the rest of our environment is none of its business.
INHERITED = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"LANG": "C.UTF-8"}
# Much faster, and safe for data that a crash of the machine may take with it.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    service: Service

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://postgres@{LOOPBACK}:{self.service.port}/{database}"

    def create_database(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


@dataclass(frozen=True, slots=True)
class Redis:
    service: Service

    def url(self, database: int = 0) -> str:
        return f"redis://{LOOPBACK}:{self.service.port}/{database}"


def of_shadows(url: str) -> str:
    """The same address of PostgreSQL or Redis, for who may only read there."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{SHADOW}:{SHADOW}@{parts.netloc.rpartition('@')[2]}").geturl()


def start_postgresql(directory: Path, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> Postgres:
    """A PostgreSQL cluster of its own with an empty database for the application."""
    data, port = directory / "postgresql", free_port()
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    _create_cluster(data, user)
    options = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": "", "max_connections": "200"}
    options |= ({} if durable else FORGETFUL) | dict(settings or {})
    service = launch(
        "PostgreSQL",
        [_binaries() / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
        port=port,
        log=directory / "postgresql.log",
        environment=INHERITED,
        directory=Path("/"),
        user=user,
        stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
    )
    postgres = Postgres(service)
    await_ready(service, lambda: _answers_sql(postgres.url("postgres")))
    postgres.create_database(DATABASE)
    return postgres


def start_redis(directory: Path) -> Redis:
    """A Redis that keeps nothing on disk."""
    port = free_port()
    command: list[str | Path] = [
        "redis-server",
        "--bind",
        LOOPBACK,
        "--port",
        str(port),
        "--save",
        "",
        "--dir",
        directory,
        "--user",
        SHADOW,
        *READS,
    ]
    service = launch("Redis", command, port=port, log=directory / "redis.log", environment=INHERITED)
    server = Redis(service)
    await_ready(service, lambda: _answers_ping(server.url()))
    return server


def _create_cluster(data: Path, user: str | None) -> None:
    data.mkdir(mode=0o700)
    command: list[str | Path] = [_binaries() / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust"]
    if user is not None:
        shutil.chown(data, user, user)
        data.parent.chmod(data.parent.stat().st_mode | 0o011)  # the other user must get through to it
        command = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--", *command]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    run("initdb", command, environment=INHERITED, directory=Path("/"))


def _binaries() -> Path:
    """The newest PostgreSQL of this machine. Debian keeps the server's programs off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path is None:
        raise ServiceError("PostgreSQL is not installed, and nothing runs without it: apt-get install postgresql")
    return Path(on_path).parent


def _answers_sql(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers_ping(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False
