"""Every route half native, real users on both sides, and sides that are killed under them: nobody is told anything
wrong, and nothing is lost or done twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from redis import Redis

from demo.accounts import kept
from demo.claims import FAULT_OF_OURS, audit
from demo.graph import start_graph
from demo.service import await_ready
from demo.stack import Application, Postgres, start_redis
from tests.e2e.killing import Site, kill, replies, strangled, waiting, without_jobs
from tests.e2e.proxies import until
from tests.e2e.team import Team, working
from tests.handlers.copying import copied

CHANGES = {"login", "refresh", "logout", "create", "status", "rename", "set", "label", "webhook"}
BETWEEN = 150  # answers between two deaths
LONG, EVERY = 300.0, 10.0  # seconds of the long form, and between two deaths in it
DRAINED = 120.0  # seconds that Sidekiq has in the end for what has piled up


@pytest.fixture
def application_alone(
    application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    directory = tmp_path_factory.mktemp("killing")
    redis = start_redis(directory)
    with redis.service, (graph := start_graph(directory)).service:
        own = copied(application, postgres, directory.name, redis.url())
        yield replace(own, graph_url=graph.service.url)


@pytest.fixture
def site(application_alone: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with strangled(tmp_path_factory.mktemp("site"), application_alone) as site:
        yield site


@pytest.fixture
def database(application_alone: Application) -> Iterator[psycopg.Connection]:
    with psycopg.connect(application_alone.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis(application_alone: Application) -> Iterator[Redis]:
    with Redis.from_url(application_alone.redis_url) as client:
        yield client


def until_answered(site: Site, team: Team, more: int) -> None:
    """Return once so many more answers have come."""
    enough = team.log.answered + more
    until(site.proxy, lambda: team.ended.is_set() or team.log.answered >= enough)


def some_deaths(site: Site, team: Team) -> None:
    """Of each side, and of both at once, each time while everybody is at work."""
    for sides in [(site.native,), (site.legacy,), (site.native, site.legacy)]:
        until_answered(site, team, BETWEEN)
        kill(*sides)


def many_deaths(site: Site, team: Team) -> None:
    """One side or the other at every turn of the clock, as chance will have it."""
    chance, began = random.Random(20), time.monotonic()  # noqa: S311  # who dies when is no secret
    turn = 1
    while turn * EVERY < LONG and not team.ended.wait(max(0.0, began + turn * EVERY - time.monotonic())):
        kill(chance.choice((site.native, site.legacy)))
        turn = int((time.monotonic() - began) // EVERY) + 1
    team.ended.wait(max(0.0, began + LONG - time.monotonic()))


@pytest.mark.parametrize(
    "deaths",
    [
        pytest.param(some_deaths, marks=pytest.mark.timeout(600)),
        pytest.param(many_deaths, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_no_death_of_a_side_makes_an_answer_wrong_or_loses_or_doubles_a_message(
    deaths: Callable[[Site, Team], None],
    site: Site,
    application_alone: Application,
    database: psycopg.Connection,
    redis: Redis,
) -> None:
    counted = replies(database)
    with working(site.proxy.url, application_alone) as team:
        deaths(site, team)
        until_answered(site, team, BETWEEN)
    log = team.log
    told = f"{site.native.deaths} deaths of native, {site.legacy.deaths} of legacy, {site.cache_gone} of the cache"
    print(f"{told}; {log.words}")  # noqa: T201  # the figures

    assert log.wrong == [], told
    # Legacy answers what native cannot, and nobody what legacy cannot: so users notice that native dies only where
    # they change something.
    assert {failure.what for failure in log.failures if failure.told.startswith("native")} <= CHANGES
    assert FAULT_OF_OURS not in {failure.told for failure in log.failures}

    messages = audit(log.creates, (), kept(database))
    assert (messages.lost, messages.doubled) == (0, 0), told
    await_ready(
        site.proxy.service,
        lambda: waiting(database, redis) == 0 and not without_jobs(database) and log.delivered <= kept(database).keys(),
        within=DRAINED,
    )
    stored = kept(database)
    messages = audit(log.creates, log.delivered, stored)
    assert (messages.lost, messages.doubled) == (0, 0), stored
    assert stored.keys() == {create.content for create in log.creates} | log.delivered
    assert replies(database) - counted == len(log.creates)
    assert site.proxy.metric("strangler_trips_total") == 0
    for side in ("native", "legacy"):
        assert site.proxy.metric("strangler_requests_total", side=side, outcome="ok") > BETWEEN / 3
