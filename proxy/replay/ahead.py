"""Reads ahead of who asks, in a thread of its own: a pipe may be silent for ever, and no event loop may wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Final, TypeVar

T = TypeVar("T")

ROOM: Final = 16  # that wait to be taken


async def ahead(source: Iterable[T]) -> AsyncGenerator[T, None]:
    """What is read, and at last the exception that ended it, if one did."""
    loop, room, over = asyncio.get_running_loop(), threading.Semaphore(ROOM), threading.Event()
    queue = asyncio.Queue[tuple[T] | Exception | None]()

    def tell(read: tuple[T] | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits for more
            loop.call_soon_threadsafe(queue.put_nowait, read)

    def pour() -> None:
        try:
            for each in source:
                room.acquire()
                if over.is_set():
                    return
                tell((each,))
        except Exception as fault:  # whatever it is: it is raised where somebody sees it
            tell(fault)
        else:
            tell(None)

    # A daemon: a thread that waits for a pipe cannot be ended, and would keep the process from it.
    threading.Thread(target=pour, name="ahead", daemon=True).start()
    try:
        while (read := await queue.get()) is not None:
            if isinstance(read, Exception):
                raise read
            room.release()
            yield read[0]
    finally:
        over.set()
        room.release()
