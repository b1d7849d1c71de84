"""Fixtures of the contract suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.redis_process import redis_process


@pytest.fixture(scope="session")
def contract_redis() -> Iterator[str]:
    """The address of a server that all tests here share; each empties the database that it uses."""
    with redis_process() as server:
        yield server.url(1)
