from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.line import Line, Word


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Line, Line]]:
    one, other = [await Line.over(end) for end in socket.socketpair()]
    yield one, other
    await asyncio.gather(one.close(), other.close())


async def test_messages_arrive_whole_in_order_and_both_ways(ends: tuple[Line, Line]) -> None:
    one, other = ends
    long = bytes(range(256)) * 4096
    one.post(Word.READY)
    sending = asyncio.gather(one.send(Word.COUNTS, long), other.send(Word.TRIPS, b"{}"))
    heard = other.messages()
    assert [await anext(heard), await anext(heard)] == [(Word.READY, b""), (Word.COUNTS, long)]
    assert await anext(one.messages()) == (Word.TRIPS, b"{}")
    await sending


async def test_words_of_a_later_version_are_passed_over() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"z\0\0\0\x03newr\0\0\0\0")
    line = await Line.over(theirs)
    assert [message async for message in line.messages()] == [(Word.READY, b"")]
    await line.close()


async def test_the_end_of_one_end_is_the_end_of_the_messages(ends: tuple[Line, Line]) -> None:
    one, other = ends
    one.post(Word.COUNTS, b"last words")
    await one.close()
    assert [message async for message in other.messages()] == [(Word.COUNTS, b"last words")]


async def test_what_is_said_to_nobody_is_lost_without_a_word(ends: tuple[Line, Line]) -> None:
    one, other = ends
    await other.close()
    for _ in range(3):
        await one.send(Word.COUNTS, bytes(1024))
    assert [message async for message in one.messages()] == []


async def test_a_message_that_breaks_off_is_none(ends: tuple[Line, Line]) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"c\0\0\0\x09half")
    line = await Line.over(theirs)
    assert [message async for message in line.messages()] == []
    await line.close()
