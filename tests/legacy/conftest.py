"""The world around the jobs: both sides, one worker, and Facebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import pytest
import redis
from psycopg.rows import dict_row

from demo.graph import start_graph
from demo.mortal import Mortal
from demo.service import Service
from demo.stack import Application, Postgres, start_rails, start_redis, start_sidekiq
from tests.handlers.copying import copied
from tests.legacy.facebook import World
from tests.parity.conftest import start_native


@pytest.fixture(scope="session")
def world(application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("facebook")
    with ExitStack() as services:
        graph = start_graph(directory)
        services.enter_context(graph.service)
        redis_server = start_redis(directory)
        services.enter_context(redis_server.service)
        own = copied(application, postgres, "facebook", redis_server.url())
        own = replace(own, graph_url=graph.service.url)
        sides = {
            "legacy": services.enter_context(start_rails(directory, own, workers=0)),
            # On a busy machine Redis may take more than half a second.
            "native": services.enter_context(start_native(directory, own, extra={"REDIS_WAIT": "2"})),
        }

        def start() -> Service:
            (directory / "sidekiq.log").unlink(missing_ok=True)  # which tells what it has begun and ended
            return start_sidekiq(directory, own, extra={"GRAPH_TIMEOUT": "3", "SIDEKIQ_TIMEOUT": "1"})

        worker = services.enter_context(Mortal(start))
        database = psycopg.connect(own.database_url, autocommit=True, row_factory=dict_row)
        services.enter_context(database)
        store = services.enter_context(redis.Redis.from_url(own.redis_url, decode_responses=True))
        yield World(own, sides, worker, graph, redis_server, database, store)
