"""The threads that an event loop lends to whoever computes, reads files or looks up names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def all_threads_busy() -> Iterator[None]:
    """Within the block they have no time for anybody."""
    over, lent = threading.Event(), ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(lent)
    lent.submit(over.wait)
    try:
        yield
    finally:
        over.set()
