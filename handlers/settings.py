"""The application's environment, read once and refused as a whole if anything in it cannot be meant so. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from redis.asyncio import ConnectionPool
from sentry_sdk.utils import Dsn

NEEDED = ("DATABASE_URL", "REDIS_URL", "JWT_SECRET")
# What may be had at once, and its defaults. Of the connections to PostgreSQL four would do for two cores
# (bench/native/README.md): the others are for statements that wait for a lock.
SIZES = {"DATABASE_POOL": 10, "SHADOW_DATABASE_POOL": 4, "REDIS_POOL": 20, "BCRYPT_THREADS": 2}
LARGEST_SIZE = 1000
REQUEST_LIMIT = 4.0  # seconds, fewer than whoever stands in front of us waits: the proxy's `native.budget`
CACHE_WAIT, REDIS_WAIT = 0.04, 0.5  # seconds
SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?", re.ASCII)


class MisconfiguredError(Exception):
    """The environment lacks something without which nothing can be served, or says what cannot be meant."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The first three are the variables that Rails reads too."""

    database_url: str
    redis_url: str
    jwt_secret: str
    database_pool: int = SIZES["DATABASE_POOL"]
    request_limit: float = REQUEST_LIMIT
    database_wait: float = 0.5  # seconds a request may wait for a connection before it is answered 503
    answer_wait: float = 5.0  # seconds for the answer to a COMMIT or ROLLBACK, after which the connection is closed
    redis_pool: int = SIZES["REDIS_POOL"]
    redis_wait: float = REDIS_WAIT
    cache_wait: float = CACHE_WAIT  # seconds a read may wait for the cache before it asks the database
    cache_look: float = 0.5  # seconds for which a look into what the cache was not told of counts; Rails has the same
    outbox_pause: float = 5.0  # seconds between two looks for jobs that nobody told of, or that could not be relayed
    bcrypt_threads: int = SIZES["BCRYPT_THREADS"]
    facebook_app_secret: str = ""  # signs webhooks; without it none is believed
    facebook_verify_token: str = ""  # by which Facebook knows our address; without it none is confirmed
    cable_prefix: str = ""  # of ActionCable's channels, `channel_prefix` in Rails' cable.yml
    sentry_dsn: str = ""  # where faults of ours are reported; nowhere if empty
    # Where shadows read, by a role and a user that may do nothing else; without these they are refused.
    shadow_database_url: str = ""
    shadow_redis_url: str = ""
    shadow_database_pool: int = SIZES["SHADOW_DATABASE_POOL"]
    shadow_database_wait: float = 2.0  # seconds: nobody is kept waiting by a shadow that waits

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        if found := "; ".join(faults(environment)):
            raise MisconfiguredError(f"the native application cannot start: {found}")
        sizes = {name: int(environment.get(name) or default) for name, default in SIZES.items()}
        return cls(
            database_url=environment["DATABASE_URL"],
            redis_url=environment["REDIS_URL"],
            jwt_secret=environment["JWT_SECRET"],
            database_pool=sizes["DATABASE_POOL"],
            request_limit=float(environment.get("REQUEST_LIMIT") or REQUEST_LIMIT),
            redis_pool=sizes["REDIS_POOL"],
            redis_wait=float(environment.get("REDIS_WAIT") or REDIS_WAIT),
            cache_wait=float(environment.get("CACHE_WAIT") or CACHE_WAIT),
            bcrypt_threads=sizes["BCRYPT_THREADS"],
            facebook_app_secret=environment.get("FACEBOOK_APP_SECRET", ""),
            facebook_verify_token=environment.get("FACEBOOK_VERIFY_TOKEN", ""),
            cable_prefix=environment.get("CABLE_CHANNEL_PREFIX", ""),
            sentry_dsn=environment.get("SENTRY_DSN", ""),
            shadow_database_url=environment.get("SHADOW_DATABASE_URL", ""),
            shadow_redis_url=environment.get("SHADOW_REDIS_URL", ""),
            shadow_database_pool=sizes["SHADOW_DATABASE_POOL"],
        )

    def of_shadows(self) -> Self | None:
        """The same for requests of shadows; None if they are to be refused."""
        if not (self.shadow_database_url and self.shadow_redis_url):
            return None
        return replace(
            self,
            database_url=self.shadow_database_url,
            redis_url=self.shadow_redis_url,
            database_pool=self.shadow_database_pool,
            database_wait=self.shadow_database_wait,
            sentry_dsn="",  # what is reported goes one way
        )


def faults(environment: Mapping[str, str]) -> Iterator[str]:
    """All that is wrong, on one line. Values that may hold a password are not repeated."""
    missing = [name for name in NEEDED if not environment.get(name)]
    if missing:
        yield f"set {', '.join(missing)} in the environment"
    yield from faults_of_addresses(environment)
    for name in SIZES:
        value = environment.get(name, "")
        if value and not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= LARGEST_SIZE):
            yield f"{name} must be a whole number from 1 to {LARGEST_SIZE}, not {value[:40]!r}"
    for name in ("REQUEST_LIMIT", "REDIS_WAIT", "CACHE_WAIT"):
        if (limit := environment.get(name)) and not (SECONDS.fullmatch(limit) and float(limit)):
            yield f"{name} must be seconds, such as 4 or 0.5, not {limit[:40]!r}"
    if (dsn := environment.get("SENTRY_DSN")) and not is_dsn(dsn):
        yield "SENTRY_DSN must be the DSN of a Sentry project, such as https://key@host/1"


def faults_of_addresses(environment: Mapping[str, str]) -> Iterator[str]:
    for name in ("DATABASE_URL", "SHADOW_DATABASE_URL"):
        url = environment.get(name, "")
        if (url or name in NEEDED) and not is_database_url(url):
            yield f"{name} must be a URL of PostgreSQL, such as postgresql://user@host:5432/name"
    for name in ("REDIS_URL", "SHADOW_REDIS_URL"):
        if (url := environment.get(name, "")) and not is_redis_url(url):
            yield f"{name} must be a URL of Redis, such as redis://host:6379/0"
    if bool(environment.get("SHADOW_DATABASE_URL")) != bool(environment.get("SHADOW_REDIS_URL")):
        yield "set both SHADOW_DATABASE_URL and SHADOW_REDIS_URL, or neither"


def is_database_url(url: str) -> bool:
    try:
        port = conninfo_to_dict(url).get("port", "")
    except psycopg.ProgrammingError:
        return False
    return all(part.isdigit() for part in str(port).split(",") if part)


def is_redis_url(url: str) -> bool:
    try:
        pool = ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)  # which connects to nothing yet
    except (ValueError, TypeError):
        return False
    return True


def is_dsn(dsn: str) -> bool:
    try:
        Dsn(dsn)
    except ValueError:
        return False
    return True
