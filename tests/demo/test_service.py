from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.service import HELD, LOOPBACK, PORTS, Service, ServiceError, await_ready, free_port, launch, run

# A service that does not leave when asked, with a child in a group of its own, as PostgreSQL's are.
STUBBORN = "trap 'echo asked' TERM; setsid sleep 600 & echo child $!; while :; do wait; done"
# A program that starts a service, tells its id, and waits.
PARENT = """
import sys
from pathlib import Path
from demo.service import await_ready, launch
log = Path(sys.argv[1])
command = ["sh", "-c", "echo up; exec sleep 600"]
service = launch("sleep", command, port=0, log=log, environment={"PATH": "/usr/bin:/bin"})
await_ready(service, lambda: "up" in log.read_text())  # from here on it is tied to us
print(service.process.pid, flush=True)
sys.stdin.read()
"""


def shell(script: str, directory: Path) -> Service:
    return launch("shell", ["bash", "-c", script], port=0, log=directory / "log", environment=dict(os.environ))


def says(service: Service, word: str) -> bool:
    return word in service.log.read_text()


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def ends(pid: int) -> bool:
    """Whether the process is gone, or goes within half a minute."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            end = select.poll()
            end.register(descriptor, select.POLLIN)
            return bool(end.poll(30_000))
        finally:
            os.close(descriptor)
    return True


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[tuple[Service, int]]:
    """The service, and its child's id."""
    service = shell(STUBBORN, tmp_path)
    try:
        await_ready(service, lambda: says(service, "child"))
        yield service, int(service.log.read_text().split()[1])
    finally:
        service.kill()


def test_a_service_that_will_not_leave_is_ended_with_all_its_children(stubborn: tuple[Service, int]) -> None:
    service, child = stubborn
    service.stop(within=1.0)
    assert says(service, "asked")
    assert not service.running
    assert ends(child)


def test_a_service_that_is_frozen_can_be_resumed_or_stopped(stubborn: tuple[Service, int]) -> None:
    service, child = stubborn
    service.pause()
    await_ready(service, lambda: stopped(service.process.pid) and stopped(child))
    service.resume()
    await_ready(service, lambda: not stopped(service.process.pid) and not stopped(child))
    service.pause()
    service.stop(within=1.0)
    assert says(service, "asked")
    assert not service.running


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    with shell("sleep 600", tmp_path) as service:
        service.stop()
    assert not service.running


def test_a_service_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert ends(pid)


def test_a_service_that_ends_before_it_is_ready_is_reported_with_its_log(tmp_path: Path) -> None:
    service = shell("echo no such thing; exit 3", tmp_path)
    with pytest.raises(ServiceError, match=r"shell ended with status 3 before it was ready:\nno such thing"):
        await_ready(service, lambda: False)


def test_a_service_that_is_never_ready_is_stopped_and_reported(tmp_path: Path) -> None:
    service = shell("echo starting; exec sleep 600", tmp_path)
    with pytest.raises(ServiceError, match=r"shell was not ready within 0.2 s"):
        await_ready(service, lambda: False, within=0.2)
    assert not service.running


def test_a_check_that_fails_itself_leaves_no_service_behind(tmp_path: Path) -> None:
    service = shell("exec sleep 600", tmp_path)
    with pytest.raises(ZeroDivisionError):
        await_ready(service, lambda: 1 // 0 == 1)
    assert not service.running


def test_a_command_that_fails_is_reported_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"(?s)convert ended with status 1:.*out.*err"):
        run("convert", ["bash", "-c", "echo out; echo err >&2; exit 1"], environment=os.environ, directory=tmp_path)


def test_a_free_port_lies_below_the_kernels_own_and_is_kept_for_who_was_given_it() -> None:
    port = free_port()
    assert port in PORTS
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind((LOOPBACK, port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))
    with socket.create_server((LOOPBACK, port)):
        socket.create_connection((LOOPBACK, port)).close()


def test_ports_that_were_given_long_ago_are_kept_no_more() -> None:
    port = free_port()
    for _ in range(HELD):
        free_port()
    with socket.socket() as another:
        another.bind((LOOPBACK, port))


INTERRUPTED = """
import signal, sys
from pathlib import Path
from demo.service import run

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("interrupted"))
script = "sleep 600 & echo $! > child; wait"
run("shell", ["bash", "-c", script], environment={"PATH": "/usr/bin:/bin"}, directory=Path(sys.argv[1]))
"""


def test_a_command_that_is_interrupted_leaves_no_child_of_its_own(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], stderr=subprocess.PIPE) as process:
        until(lambda: child.exists() and child.read_text().endswith("\n"))
        process.terminate()
        assert process.wait(60) == 1
    assert ends(int(child.read_text()))


def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; what is watched is a file, which tells nobody when it changes."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
