"""Real services, started when a test first asks for one and shared by all tests that ask; and how hypothesis runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from demo.service import Service, ServiceError
from demo.stack import (
    Application,
    Postgres,
    Redis,
    prepare_database,
    start_postgresql,
    start_rails,
    start_redis,
    start_sidekiq,
)
from demo.unleash import node_and_npm, start_unleash

# How long an example takes says something about the machine, and nothing about what is tested. In CI the examples are
# the same each time, so that red means the change; whoever runs the tests at home, or the soaks, meets new ones.
for name, same in (("home", False), ("ci", True)):
    settings.register_profile(name, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=same)
settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.fixture(scope="session")
def stack_directory() -> Iterator[Path]:
    """Files and logs of the services. Not under pytest's own folder, which PostgreSQL's user may not enter."""
    with tempfile.TemporaryDirectory(prefix="strangler-tests-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def postgres(stack_directory: Path) -> Iterator[Postgres]:
    server = start_postgresql(stack_directory)
    with server.service:
        yield server


@pytest.fixture(scope="session")
def redis_server(stack_directory: Path) -> Iterator[Redis]:
    server = start_redis(stack_directory)
    with server.service:
        yield server


@pytest.fixture(scope="session")
def unleash_server(stack_directory: Path, postgres: Postgres) -> Iterator[Service]:
    """Unleash's own server, whose flags all tests share: each takes names of its own."""
    try:
        node_and_npm()
    except ServiceError as missing:
        pytest.skip(str(missing))
    with start_unleash(stack_directory, postgres) as service:
        yield service


@pytest.fixture(scope="session")
def application(stack_directory: Path, postgres: Postgres, redis_server: Redis) -> Application:
    """Where the messaging application lives: a migrated and seeded database, Redis, and the secret of its tokens."""
    application = Application(postgres.url(), redis_server.url(), seed_bcrypt_cost=4)
    prepare_database(stack_directory, application)
    return application


@pytest.fixture(scope="session")
def rails(stack_directory: Path, application: Application) -> Iterator[Service]:
    # However late the machine lets either be, a shadow is answered: tests of what is not say so themselves.
    patient = {"SHADOW_CONCURRENCY": "5", "SHADOW_DEADLINE": "30"}
    with start_rails(stack_directory, application, extra=patient) as service:
        yield service


@pytest.fixture
def sidekiq(stack_directory: Path, application: Application) -> Iterator[Service]:
    """The job worker, for one test only: others look at the queue that it empties."""
    with start_sidekiq(stack_directory, application) as service:
        yield service
