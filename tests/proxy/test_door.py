"""Two workers at one socket, in one process: who of them takes in how many."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from proxy.crowd import Crowd, Share
from proxy.door import AHEAD, AT_ONCE, PATIENCE, Door
from tests.proxy.stage import eventually

LONG = 3600.0


class Worker:
    """One that only takes in."""

    def __init__(self, sock: socket.socket, crowd: Crowd, number: int, patience: float) -> None:
        self.met: list[socket.socket] = []
        self.sock = sock.dup()
        self.door = Door(self.sock, Share(crowd, number), lambda: len(self.met), self.met.append, patience)

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            self.door.close()
        for sock in self.met:
            sock.close()


class Street:
    """`come`: so many users more, who wait until somebody takes them in."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self.crowd = Crowd.of(2)
        self._sock = self._open.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        self._sock.setblocking(False)

    def worker(self, number: int, patience: float = LONG) -> Worker:
        worker = Worker(self._sock, self.crowd, number, patience)
        self._open.callback(worker.close)
        return worker

    def come(self, users: int) -> list[socket.socket]:
        return [self._open.enter_context(socket.create_connection(self._sock.getsockname())) for _ in range(users)]

    def close(self) -> None:
        self._open.close()


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    street = Street()
    yield street
    street.close()


async def test_users_who_come_all_at_once_are_shared_out_evenly(street: Street) -> None:
    one, other = street.worker(1), street.worker(2)
    street.come(200)
    one.door.open()
    other.door.open()
    await eventually(lambda: len(one.met) + len(other.met) == 200)
    assert abs(len(one.met) - len(other.met)) <= 100 / AHEAD + 1


async def test_who_is_alone_takes_them_all_so_many_at_a_time(street: Street) -> None:
    one = street.worker(1)
    street.come(2 * AT_ONCE + 1)
    one.door.open()
    await eventually(lambda: bool(one.met))
    assert len(one.met) == AT_ONCE
    await eventually(lambda: len(one.met) == 2 * AT_ONCE + 1)


async def test_users_are_left_to_a_worker_that_has_fewer_but_not_for_long_if_it_takes_none(street: Street) -> None:
    one = street.worker(1, PATIENCE)
    street.crowd.has(2, 0)  # it stands still
    began = asyncio.get_running_loop().time()
    street.come(10)
    one.door.open()
    await eventually(lambda: len(one.met) == 10)
    assert asyncio.get_running_loop().time() - began >= PATIENCE


async def test_a_worker_that_takes_none_is_waited_for_once(street: Street) -> None:
    one = street.worker(1, PATIENCE)
    street.crowd.has(2, 0)
    street.come(10)
    one.door.open()
    await eventually(lambda: len(one.met) == 10)
    one.door.patience = LONG
    street.come(5)
    await eventually(lambda: len(one.met) == 15)
    street.crowd.has(2, 1)  # it is back
    street.come(5)
    await eventually(lambda: one.door.pausing)
    assert len(one.met) == 15


async def test_patience_begins_anew_with_each_that_another_takes(street: Street) -> None:
    one = street.worker(1)
    street.crowd.has(2, 0)
    street.come(3)
    one.door.open()
    await eventually(lambda: len(one.met) == 1)  # one more than nobody
    street.crowd.has(2, 1)  # as one of ours is shared out to it
    await eventually(lambda: len(one.met) == 2)
    await eventually(lambda: one.door.pausing)
    one.door.patience = PATIENCE
    await eventually(lambda: len(one.met) == 3)


async def test_the_others_learn_of_users_who_have_gone_though_nobody_comes(street: Street) -> None:
    one = street.worker(1)
    street.come(2)
    one.door.open()
    await eventually(lambda: street.crowd.fewest(but=2) == 2)
    one.met.pop().close()
    await eventually(lambda: street.crowd.fewest(but=2) == 1)


async def test_a_door_that_is_closed_takes_nobody_whatever_it_was_waiting_for(street: Street) -> None:
    one, other = street.worker(1), street.worker(2)
    street.crowd.has(2, 0)
    street.come(2)
    one.door.open()
    await eventually(lambda: len(one.met) == 1)
    one.door.close()
    other.door.open()
    await eventually(lambda: len(other.met) == 1)
    assert len(one.met) == 1


async def test_where_there_are_no_files_left_it_is_tried_again_later(street: Street) -> None:
    one = street.worker(1)
    street.come(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)  # the lowest number that is free
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with capture_logs() as logs:
            one.door.open()
            await eventually(lambda: bool(logs))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("no more users can be taken in for now", "error")
    assert not one.met
    await eventually(lambda: len(one.met) == 1)
