"""Which processes of this machine go by the rollbacks in a directory, and how far each has read them.

Each holds a file there, locked for as long as it lives: a process id alone may be another process's by now. It has the
machine's name, for containers that share a directory number their processes alike.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = f"_process-{socket.gethostname()}-"
LENGTH = 32  # characters of a time, so that a short one leaves nothing of a long one before it


class Presence:
    """This process's own file. `taken` says of when the newest rollback is that it goes by."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def taken(self, at: float) -> None:
        os.pwrite(self._descriptor, repr(at).ljust(LENGTH).encode(), 0)


@contextmanager
def presence(directory: Path) -> Iterator[Presence]:
    """Be found there by `processes`; raises OSError if the directory cannot be written."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{PREFIX}{os.getpid()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # whoever looks holds it for a moment
        os.ftruncate(descriptor, 0)
        yield Presence(descriptor)
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def processes(directory: Path) -> dict[int, float]:
    """The process ids of those that live, and of when the newest rollback is that each has taken."""
    found = {}
    for path in directory.glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError):  # it has just ended
            pid = int(path.name.removeprefix(PREFIX))
            if _is_held(path):
                found[pid] = float(path.read_text("ascii") or 0)
    return found


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
