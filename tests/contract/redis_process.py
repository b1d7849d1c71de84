"""A real redis-server for tests that need one of their own: to pause it, kill it, bring it back."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis.asyncio import Redis

from demo.service import free_port
from flags.store.client import connect
from flags.store.place import Place

PATIENCE = 30.0  # seconds that a call may take where nothing is to be given up: this machine may be busy
# However the server is reached, it does the same.
REACHED = ("redis", "redis over TLS", "redis by Sentinels", "redis as a Cluster")


@dataclass
class RedisProcess:
    """`options` beside the usual ones, and `ready`, which its log says when it answers."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: Sequence[str] = ()
    ready: str = "Ready to accept connections"
    process: subprocess.Popen[str] | None = None

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    @property
    def command(self) -> Sequence[str]:
        usual = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder} --appendonly no --daemonize no".split()
        return ["redis-server", *usual, "--save", "", *self.options]

    def start(self) -> None:
        """Return once the server answers: its log says so, line by line."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if self.ready in line:
                return
        raise RuntimeError(f"redis-server ended: {said}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def redis_process() -> Iterator[RedisProcess]:
    """A server that is up, and is gone afterwards whatever was done to it."""
    with TemporaryDirectory() as folder:
        server = RedisProcess(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def emptied(url: str, **options: Any) -> AsyncIterator[Redis]:
    """A client of the database at this address, however it is reached, of which nothing is left."""
    client = connect(Place.parse(url), 5.0, **options)
    try:
        await client.flushdb()
        yield client
    finally:
        await client.aclose()
