"""Every route half native, real users on both sides, and sides that are killed under them: nobody is told anything
wrong, and nothing is lost or done twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from redis import Redis

from demo.service import await_ready
from demo.stack import Application, Postgres, start_redis
from tests.e2e.accounts import USERS, Account
from tests.e2e.killing import (
    Site,
    doubled,
    kill,
    lost,
    may_lack_jobs,
    replies,
    stored,
    strangled,
    waiting,
    without_jobs,
)
from tests.e2e.proxies import until
from tests.e2e.team import Team, working
from tests.handlers.copying import copied

CHANGES = {"login", "refresh", "logout", "create", "status", "rename", "set"}
BETWEEN = 150  # answers between two deaths
LONG, EVERY = 300.0, 10.0  # seconds of the long form, and between two deaths in it
DRAINED = 120.0  # seconds that Sidekiq has in the end for what has piled up


@pytest.fixture
def application_alone(
    application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    directory = tmp_path_factory.mktemp("killing")
    redis = start_redis(directory)
    with redis.service:
        yield copied(application, postgres, directory.name, redis.url())


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
    for sides in [(site.native,), (site.legacy,), (site.native, site.legacy), (site.native,), (site.legacy,)]:
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
        pytest.param(some_deaths, marks=pytest.mark.timeout(300)),
        pytest.param(many_deaths, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_no_death_of_a_side_makes_an_answer_wrong_or_loses_or_doubles_a_message(
    deaths: Callable[[Site, Team], None], site: Site, database: psycopg.Connection, redis: Redis
) -> None:
    counted = replies(database)
    with working(site.proxy.url, [Account(database, id) for id in USERS]) as team:
        deaths(site, team)
        until_answered(site, team, BETWEEN)
    log, kept = team.log, stored(database)
    told = f"{site.native.deaths} deaths of native, {site.legacy.deaths} of legacy, {site.cache_gone} of the cache"
    print(f"{told}; {log.words}")  # noqa: T201  # the figures

    assert log.wrong == [], told
    assert lost(log.creates, kept) == []
    assert doubled(kept) == {}
    assert kept.keys() == {create.content for create in log.creates}
    # Legacy answers what native cannot, and nobody what legacy cannot: so users notice that native dies only where
    # they change something.
    assert {what for what, failure in log.failures if failure.startswith("native")} <= CHANGES

    excused = {create.id for create in log.creates if may_lack_jobs(create)}
    await_ready(
        site.proxy.service,
        lambda: waiting(database, redis) == 0 and without_jobs(database) <= excused,
        within=DRAINED,
    )
    lacking = without_jobs(database)
    print(f"{len(excused)} messages that legacy died with, {len(lacking)} without all jobs")  # noqa: T201  # the figures
    assert len(kept) - len(lacking) <= replies(database) - counted <= len(kept)
    assert site.proxy.metric("strangler_trips_total") == 0
    for side in ("native", "legacy"):
        assert site.proxy.metric("strangler_requests_total", side=side, outcome="ok") > BETWEEN
