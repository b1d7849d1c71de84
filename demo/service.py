"""One real service as a child process: started, awaited, frozen, ended with all that it has started itself."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Self

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel picks ports for outgoing connections, which would take ours now and then.
PORTS = range(20_000, 32_000)
HELD = 64  # ports that are kept for who was given them
_held: deque[int] = deque()  # the sockets that keep them
READY_WITHIN = 60.0
STOP_WITHIN = 15.0
POLL = 0.02
LOG_TAIL = 4_000


class ServiceError(Exception):
    """A service or one of its commands failed; the text ends with the last lines of its log."""


@dataclass(slots=True)
class Service:
    """A running service. It ends with `stop`, with its `with` block, or with the process that started it."""

    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, within: float = STOP_WITHIN) -> None:
        """End the service politely, and what is left of it after `within` seconds by force."""
        family = self._family()
        _signal(family, signal.SIGCONT)
        self.process.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        self._end(family)

    def kill(self) -> None:
        """End the service as a crash would."""
        self._end(self._family())

    def pause(self) -> None:
        """Freeze the service: its connections stay open and nothing is answered."""
        _signal(self._family(), signal.SIGSTOP)

    def resume(self) -> None:
        _signal(self._family(), signal.SIGCONT)

    def _family(self) -> Mapping[int, str]:
        # The id of a process that has ended may be another one's by now.
        return _family(self.process.pid) if self.running else {}

    def _end(self, family: Mapping[int, str]) -> None:
        _signal(family, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def launch(
    name: str,
    command: Sequence[str | Path],
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str],
    directory: Path | None = None,
    user: str | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Service:
    """Start a service; `await_ready` tells when it serves.

    Call it from a thread that lives as long as the service shall: Linux ends the child with the *thread* that made it.
    """
    # Also a parent that is killed takes its services along, so nothing is left of an aborted run.
    guard = ["setpriv", "--pdeathsig", stop_signal.name.removeprefix("SIG")]
    if user is not None:
        guard += ["--reuid", user, "--regid", user, "--init-groups"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*guard, "--", *command],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # the terminal's Ctrl-C is for us alone: we stop services in order
        )
    return Service(name, port, log, process, stop_signal)


def await_ready(service: Service, ready: Callable[[], bool], within: float = READY_WITHIN) -> None:
    """Return once `ready` holds. If that does not happen in time, or the service ends, stop it and raise."""
    deadline = monotonic() + within
    try:
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = service.process.wait(POLL)
                raise ServiceError(
                    f"{service.name} ended with status {code} before it was ready:\n{_tail(service.log)}"
                )
            if monotonic() > deadline:
                raise ServiceError(f"{service.name} was not ready within {within:g} s:\n{_tail(service.log)}")
    except BaseException:  # also Ctrl-C: nobody else knows of the service yet
        service.stop()
        raise


def run(name: str, command: Sequence[str | Path], *, environment: Mapping[str, str], directory: Path) -> None:
    """Run a command to its end; whoever interrupts us ends it with all that it has started itself."""
    started: list[subprocess.Popen[str]] = []
    failed: list[Exception] = []
    over = threading.Event()

    def start() -> None:
        try:
            started.append(
                subprocess.Popen(
                    command,
                    cwd=directory,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            )
        except Exception as error:
            failed.append(error)
        over.set()

    try:
        # In a thread: a signal that is heard within Popen would leave a child that nobody knows.
        threading.Thread(target=start, daemon=True).start()
        over.wait()
        if failed:
            raise failed[0]
        said, _ = started[0].communicate()
    except BaseException:
        over.wait(5.0)  # in vain if the signal was heard before there was a thread
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()  # until the last of them has let go of the pipe
        raise
    if started[0].returncode != 0:
        raise ServiceError(f"{name} ended with status {started[0].returncode}:\n{said[-LOG_TAIL:]}")


def free_port() -> int:
    """A loopback port that nobody listens on. Neighbours who ask as well, before anybody listens there, get others."""
    first = random.randrange(len(PORTS))
    for port in chain(PORTS[first:], PORTS[:first]):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            # Bound, it is refused to whoever looks for a port as we do. Who listens there may, as servers allow it too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _held.append(probe.detach())
            if len(_held) > HELD:
                os.close(_held.popleft())
            return port
    raise ServiceError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free: stop something that listens there")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_TAIL:]


def _family(root: int) -> dict[int, str]:
    """A process and all its descendants, each with its start time.

    Process groups do not tell: PostgreSQL's workers each open their own.
    """
    found = {pid: (parent, started) for pid, parent, started in map(_process, _pids()) if started}
    family = {root: found[root][1]} if root in found else {}
    grown = True
    while grown:
        more = {pid: started for pid, (parent, started) in found.items() if parent in family and pid not in family}
        family |= more
        grown = bool(more)
    return family


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _process(pid: int) -> tuple[int, int, str]:
    """Its id, its parent's, and when it started ("" if it is gone)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return pid, 0, ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return pid, int(fields[1]), fields[19]


def _signal(family: Mapping[int, str], number: signal.Signals) -> None:
    for pid, started in family.items():
        # An id that was given to another process since then has another start time.
        if _process(pid)[2] == started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
