"""What is rolled back: a proxy of several workers under load, whose every route is native's, and both of its sides."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load, servers
from bench.killswitch.side import Notes
from bench.killswitch.summary import Repetition
from bench.machine import ROOT, Cores
from bench.patterns import PATH, routes
from bench.processes import cpu_seconds, pinned
from demo.service import LOOPBACK, Service, ServiceError, await_ready, free_port
from demo.stack import start_redis
from flags.audit import Note
from flags.flag import WHOLE, Flag
from flags.store import Write
from flags.store.redis import RedisStore

WORKERS, CONNECTIONS = 4, 64
QUIET = 0.3  # seconds without a request after which a side is asked none any more: each worker is asked all the time
DELIVERED = 1.3  # seconds after which what began on this machine's disk has been told to the store, by tick and all
LOOK = 0.002  # seconds between two looks
PATIENCE, ATTEMPTS = 20.0, 10
READY = "a worker takes requests"


@dataclass(frozen=True, slots=True)
class Stage:
    ours: servers.Ours
    config: Path
    legacy: Notes
    native: Notes
    store: str
    routes: int

    def rolled_back(self, how: Sequence[str]) -> Repetition:
        """Give the order as a person does, by a process of its own, and wait for the last that native hears of it."""
        command = [sys.executable, "-m", "proxy.cli", "rollback", "--all", "--config", str(self.config), *how]
        began = time.monotonic()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        returned = time.monotonic()
        if not _came(lambda: time.monotonic() - self.native.last > QUIET):
            raise ServiceError("native is asked on and on")
        if how:  # or a worker that is late to deliver it would undo the next one's reset
            time.sleep(max(0.0, returned + DELIVERED - time.monotonic()))
        return Repetition.of(began, returned, self.native.last)

    def all_native(self) -> None:
        """Lift every trip, and let native answer everything again, on each worker."""
        for _ in range(ATTEMPTS):
            asyncio.run(self._give_native_all())
            if _came(self._is_native_s, within=2.0):
                return
        raise ServiceError("legacy is asked on and on")

    def _is_native_s(self) -> bool:
        now = time.monotonic()
        return now - self.legacy.last > QUIET > now - self.native.last

    async def _give_native_all(self) -> None:
        """As a reset and a raise of each route do, but in one go: a thousand of both take longer than all else here."""
        store, note, now = RedisStore(self.store, PATIENCE), Note(time.time(), "the benchmark"), time.time()
        try:
            found = await store.flags()
            flags = {route["name"]: found.get(route["name"], Flag()) for route in routes(self.routes)}
            # What a worker that is late has tripped once more stays so until the next attempt: see `all_native`.
            await store.change_all([
                Write(name, flag.generation, Flag(native=WHOLE, generation=flag.next_generation(now)), note)
                for name, flag in flags.items()
            ])  # fmt: skip
        finally:
            await store.close()


def _came(condition: Callable[[], bool], within: float = PATIENCE) -> bool:
    """Whether the condition came to hold."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK)
    return True


@contextmanager
def staged(where: Cores, directory: Path, count: int) -> Iterator[Stage]:
    """`count` routes."""
    with ExitStack() as running:
        redis = start_redis(directory)
        running.enter_context(redis.service)
        sides = {}
        for name in ("legacy", "native"):
            notes, port = Notes(directory / f"{name}.notes"), free_port()
            command: list[str | Path] = [sys.executable, "-m", "bench.killswitch.side", str(port), notes.path]
            service = pinned(name, command, cores=[where.origin], port=port, directory=directory)
            running.enter_context(servers.listening(service))
            sides[name] = notes, port
        (legacy, legacy_port), (native, native_port) = sides.values()
        config = {
            "admin": {"state": str(directory / "state")},
            "legacy": {"url": f"http://{LOOPBACK}:{legacy_port}"},
            "native": {"url": f"http://{LOOPBACK}:{native_port}"},
            "redis": redis.url(1),
            "log": {"access": False},
            "holdback": "0%",
            "routes": routes(count),
        }
        workers = ("--workers", str(WORKERS))
        ours = servers.strangler("strangler", config, cores=[where.measured], directory=directory, arguments=workers)
        running.enter_context(ours.service)
        await_ready(ours.service, lambda: ours.service.log.read_text().count(READY) == WORKERS)
        path = directory / f"strangler-{ours.service.port}.yaml"
        yield Stage(ours, path, legacy, native, redis.url(1), count)


@contextmanager
def loaded(stage: Stage, where: Cores, told: list[load.Load]) -> Iterator[None]:
    """wrk asks until the block ends; then what it tells is added to `told`."""
    url = stage.ours.service.url + PATH
    command = load.command(url, connections=CONNECTIONS, seconds=3600, core=where.load, headers={})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            if not _came(lambda: _all_busy(stage.ours.service)):
                raise ServiceError("not every worker is asked")
            yield
        finally:
            wrk.send_signal(signal.SIGINT)  # upon which it ends, and tells
            said, _ = wrk.communicate(timeout=PATIENCE)
    told.append(load.parsed(said))


def _all_busy(supervisor: Service) -> bool:
    """Whether each worker has work to do: a connection stays with whoever has taken it."""
    children = Path(f"/proc/{supervisor.process.pid}/task/{supervisor.process.pid}/children").read_text().split()
    before = [cpu_seconds(int(child)) for child in children]
    time.sleep(0.5)
    after = [cpu_seconds(int(child)) for child in children]
    return len(children) == WORKERS and all(b - a > 0.02 for a, b in zip(before, after, strict=True))
