"""What stays for good, in large pages: wherever it is touched, its address is found by one look instead of several.

With a thousand routes most of what a request needs has not been touched for a while, and then the look-up of its page
costs as much as its bytes, in a virtual machine several times as much.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

LARGE = 2 * 1024 * 1024  # bytes of a large page
COLLAPSE = 25  # Linux's MADV_COLLAPSE (6.1), at once and once: memory that comes later is left alone

Area = tuple[int, int]  # its first address, and its bytes


def gather() -> int:
    """Lay the memory that this process uses by now in large pages; how many bytes were.

    A system that has none, or none left, changes nothing.
    """
    gathered = 0
    with suppress(OSError, AttributeError):  # not Linux: no such file, or no such call
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for start, size in areas(Path("/proc/self/smaps").read_text("utf-8", "replace").splitlines()):
            if madvise(start, size, COLLAPSE) == 0:
                gathered += size
    return gathered


def areas(maps: Iterable[str]) -> Iterator[Area]:
    """Where large pages fit, by what the system tells of a process's memory (proc_pid_smaps(5)): in memory of its own
    that is used for the most part. The stack of a thread is not, and would be filled up."""
    start = end = 0
    for line in maps:
        words = line.split()
        if words[0] == "Rss:":
            first, last = -(-start // LARGE) * LARGE, end // LARGE * LARGE
            if first < last and int(words[1]) * 1024 * 2 >= end - start:
                yield first, last - first
        elif not words[0].endswith(":"):
            start, end = _own(words)


def _own(words: list[str]) -> Area:
    """From where to where an area goes, if it may be written to and no file is behind it; else nowhere."""
    if not words[1].startswith("rw-p") or words[4] != "0" or words[5:] == ["[stack]"]:
        return 0, 0
    start, _, end = words[0].partition("-")
    return int(start, 16), int(end, 16)
