"""How many connections a proxy can have, however few files it was started with."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.redis_process import redis_process
from tests.e2e.proxies import running

FEW = 256


@contextmanager
def few_files() -> Iterator[int]:
    """What is started meanwhile may have few files open, but allow itself as many as the number given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_proxy_may_have_as_many_files_open_as_the_system_lets_it(workers: int, tmp_path: Path, origin: str) -> None:
    with (
        redis_process() as redis,
        few_files() as most,
        running(tmp_path, {"legacy": {"url": origin}, "redis": redis.url(1)}, workers=workers) as proxy,
    ):
        limits = Path(f"/proc/{proxy.service.process.pid}/limits").read_text()
        [files] = [line.split() for line in limits.splitlines() if line.startswith("Max open files")]
        assert FEW < most == int(files[3]) == int(files[4])
        assert proxy.metric("process_max_fds") == most
