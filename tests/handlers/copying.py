"""A copy of the application's database, for tests that write: what others count on stays as it is."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg

from demo.stack import Application, Postgres


def copied(application: Application, postgres: Postgres, name: str, redis_url: str) -> Application:
    postgres.create_database(name)
    url = postgres.url(name)
    elsewhere = urlsplit(url).port != urlsplit(application.database_url).port  # where nobody knows the role of shadows
    options = ["--no-owner", *(["--no-privileges"] if elsewhere else [])]
    dump = subprocess.run(["pg_dump", *options, application.database_url], capture_output=True, check=True)
    restore = ["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", url]
    subprocess.run(restore, input=dump.stdout, capture_output=True, check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum analyze")
    return replace(application, database_url=url, redis_url=redis_url)
