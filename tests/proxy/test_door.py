"""Two workers at one socket, in one process: who of them takes in how many."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from proxy.crowd import AHEAD, PATIENCE, Crowd, Share
from proxy.door import AT_ONCE, Door
from tests.proxy.stage import eventually

LONG = 3600.0


class Worker:
    """One that only takes in."""

    def __init__(self, sock: socket.socket, share: Share | None, spare: int = 0) -> None:
        self.met: list[socket.socket] = []
        self.sock, self._share = sock.dup(), share
        self.door = Door(self.sock, self.met.append, share, spare)

    @property
    def shared(self) -> Share:
        assert self._share is not None
        return self._share

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            self.door.close()
        for sock in self.met:
            sock.close()


class Street:
    """`come`: so many users more, who wait until somebody takes them in."""

    def __init__(self, workers: int) -> None:
        self._open = ExitStack()
        self.crowd = Crowd.of(workers)
        self._sock = self._open.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        self._sock.setblocking(False)

    def worker(self, number: int, patience: float = LONG) -> Worker:
        return self._opened(Worker(self._sock, Share(self.crowd, number, patience)))

    def alone(self, spare: int = 0) -> Worker:
        return self._opened(Worker(self._sock, None, spare))

    def _opened(self, worker: Worker) -> Worker:
        self._open.callback(worker.close)
        return worker

    def come(self, users: int) -> list[socket.socket]:
        return [self._open.enter_context(socket.create_connection(self._sock.getsockname())) for _ in range(users)]

    def close(self) -> None:
        self._open.close()


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    """Of two workers."""
    street = Street(2)
    yield street
    street.close()


@pytest.fixture
async def broad_street() -> AsyncIterator[Street]:
    """Of three."""
    street = Street(3)
    yield street
    street.close()


async def shared_out(street: Street, one: Worker, other: Worker) -> None:
    """They take in who comes at once, and neither many more than the other."""
    street.come(200)
    one.door.open()
    other.door.open()
    await eventually(lambda: len(one.met) + len(other.met) == 200)
    assert abs(len(one.met) - len(other.met)) <= AHEAD


async def test_users_who_come_all_at_once_are_shared_out_evenly(street: Street) -> None:
    one, other = street.worker(1), street.worker(2)
    await shared_out(street, one, other)


async def test_users_who_leave_at_once_do_not_make_those_uneven_who_stay(street: Street) -> None:
    one, other = street.worker(1), street.worker(2)
    one.door.open()
    other.door.open()
    for _ in range(40):
        before = len(one.met) + len(other.met)
        (user,) = street.come(1)
        await eventually(lambda before=before: len(one.met) + len(other.met) == before + 1)
        user.close()
    gone = len(one.met), len(other.met)
    street.come(64)
    await eventually(lambda: len(one.met) + len(other.met) == 40 + 64)
    assert abs((len(one.met) - gone[0]) - (len(other.met) - gone[1])) <= 2 * AHEAD


async def test_of_three_one_that_stands_still_leaves_the_others_even(broad_street: Street) -> None:
    # Longer than a busy machine lets either of them wait for its turn.
    one, other = broad_street.worker(1, patience=1.0), broad_street.worker(2, patience=1.0)
    await shared_out(broad_street, one, other)


async def test_who_is_alone_takes_them_all_so_many_at_a_time(street: Street) -> None:
    one = street.alone()
    street.come(2 * AT_ONCE + 1)
    one.door.open()
    await eventually(lambda: bool(one.met))
    assert len(one.met) == AT_ONCE
    await eventually(lambda: len(one.met) == 2 * AT_ONCE + 1)


async def test_users_are_left_to_who_took_fewer_but_not_for_long_if_it_takes_none(
    broad_street: Street,
) -> None:
    one = broad_street.worker(1, PATIENCE)  # of three, the others of whom stand still
    began = asyncio.get_running_loop().time()
    broad_street.come(AHEAD + 10)
    one.door.open()
    await eventually(lambda: len(one.met) == AHEAD + 10)
    assert asyncio.get_running_loop().time() - began >= PATIENCE


async def test_a_worker_that_is_back_is_waited_for_again(street: Street) -> None:
    one, other = street.worker(1, PATIENCE), street.worker(2)
    street.come(AHEAD + 10)
    one.door.open()
    await eventually(lambda: len(one.met) == AHEAD + 10)
    one.shared.patience = LONG
    other.shared.took(1)
    street.come(AHEAD)
    await eventually(lambda: one.door.pausing)
    assert len(one.met) == AHEAD + 10 + AHEAD // 2 + 1


async def test_who_left_somebody_that_a_third_took_is_as_patient_as_before_with_the_second(
    broad_street: Street,
) -> None:
    one, _, third = broad_street.worker(1), broad_street.worker(2), broad_street.worker(3)
    one.shared.took(AHEAD)
    broad_street.come(1)
    one.door.open()
    await eventually(lambda: one.door.pausing)
    left = time.monotonic()
    third.door.open()
    await eventually(lambda: len(third.met) == 1 and not one.door.pausing)
    assert one.shared.room(left + LONG) == 0


async def test_a_door_that_is_closed_takes_nobody_whatever_it_was_waiting_for(street: Street) -> None:
    one, other = street.worker(1), street.worker(2)
    street.come(AHEAD + 1)
    one.door.open()
    await eventually(lambda: one.door.pausing)
    one.door.close()
    other.door.open()
    await eventually(lambda: len(other.met) == 1)
    assert len(one.met) == AHEAD


def lowest() -> int:
    """The lowest number of a file that is free."""
    free = os.dup(0)
    os.close(free)
    return free


@pytest.fixture
def limit() -> Iterator[int]:
    """How many files there are: some more than are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = lowest() + 40
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_some_files_are_kept_for_what_users_ask_for_until_others_leave(street: Street, limit: int) -> None:
    one = street.alone(spare=10)
    users = street.come(limit - 10 - lowest() - 3)
    with capture_logs() as logs:
        one.door.open()
        await eventually(lambda: bool(logs))
        assert len(one.met) == 4
        users.pop().close()
        await eventually(lambda: len(one.met) > 4)
    (told,) = logs
    assert told["log_level"] == "error"
    assert "no more users are taken in until others leave" in told["event"]


async def test_where_there_are_no_files_left_users_wait(street: Street, limit: int) -> None:
    one = street.alone()
    users = street.come(limit - lowest())
    with capture_logs() as logs:
        one.door.open()
        await eventually(lambda: bool(logs))
    assert "Too many open files" in logs[0]["error"]
    assert not one.met
    users.pop().close()
    await eventually(lambda: len(one.met) == 1)
