"""What the benchmark of rollbacks notes, and how it sums up."""

from __future__ import annotations

import asyncio
import mmap
import time
from pathlib import Path

import pytest

from bench.killswitch.side import NOTE, Notes, Side
from bench.killswitch.summary import Repetition, figures, targets
from bench.servers import ANSWER


async def test_a_side_answers_and_notes_when_it_was_last_asked_and_how_often(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes")
    assert (notes.last, notes.asked) == (0.0, 0)
    with notes.path.open("r+b") as file, mmap.mmap(file.fileno(), NOTE.size) as shared:
        server = await asyncio.get_running_loop().create_server(lambda: Side(shared), "127.0.0.1", 0)
        before, asked = time.monotonic(), Side.asked
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
            for _ in range(2):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK")
                assert await reader.readexactly(len(ANSWER)) == ANSWER.encode()
            writer.close()
            await writer.wait_closed()
        assert notes.asked == asked + 2
        assert before <= notes.last <= time.monotonic()


def test_a_repetition_is_told_in_milliseconds_from_the_command_s_start_and_its_return() -> None:
    assert Repetition.of(began=1.0, returned=1.5, last=1.4) == Repetition(-100.0, 500.0, 400.0)
    assert Repetition.of(began=1.0, returned=1.5, last=1.75) == Repetition(250.0, 500.0, 750.0)


@pytest.mark.parametrize(("slowest", "met"), [(250.0, True), (250.1, False)])
def test_one_repetition_of_fifty_that_is_too_late_is_one_too_many(slowest: float, met: bool) -> None:
    told = figures([Repetition(-5.0, 400.0, 395.0)] * 49 + [Repetition(slowest, 400.0, 400.0 + slowest)])
    assert told["after_ms"] == {"p50": -5.0, "p99": slowest, "most": slowest}
    assert targets({"--all": told}, failed=0)["last native decision after the return, p99 (ms, --all)"]["met"] is met


def test_a_failed_request_is_one_too_many() -> None:
    assert targets({}, failed=1)["failed requests"]["met"] is False
