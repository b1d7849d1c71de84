"""Which memory is laid in large pages, and that it stays what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.memory import LARGE, areas, gather

MiB = 1024 * 1024


def smaps(start: int, end: int, used: int, *, perms: str = "rw-p", inode: int = 0, name: str = "") -> list[str]:
    """One area as the system tells of it."""
    return [
        f"{start:x}-{end:x} {perms} 00000000 00:00 {inode} {name}",
        f"Size:{(end - start) // 1024:15} kB",
        f"Rss:{used // 1024:16} kB",
        "VmFlags: rd wr mr mw me ac",
    ]


def test_the_large_pages_that_fit_within_an_area_are_found() -> None:
    heap = smaps(LARGE - 4096, 4 * LARGE + 4096, 3 * LARGE, name="[heap]")
    assert list(areas([*heap, *smaps(8 * LARGE, 9 * LARGE, LARGE)])) == [(LARGE, 3 * LARGE), (8 * LARGE, LARGE)]


def test_where_none_fits_none_is_found() -> None:
    assert not list(areas(smaps(LARGE + 4096, 3 * LARGE - 4096, LARGE)))


def test_what_is_mostly_unused_as_the_stack_of_a_thread_is_left_alone() -> None:
    assert not list(areas(smaps(LARGE, 5 * LARGE, 2 * LARGE - 4096)))
    assert list(areas(smaps(LARGE, 5 * LARGE, 2 * LARGE))) == [(LARGE, 4 * LARGE)]


@pytest.mark.parametrize(
    ("perms", "inode", "name"),
    [("r-xp", 0, ""), ("rw-s", 0, ""), ("rw-p", 4711, "/usr/lib/libc.so.6"), ("rw-p", 0, "[stack]")],
    ids=["code", "shared", "a file's", "the stack"],
)
def test_what_is_not_the_processs_own_or_not_written_to_is_left_alone(perms: str, inode: int, name: str) -> None:
    assert not list(areas(smaps(LARGE, 3 * LARGE, 2 * LARGE, perms=perms, inode=inode, name=name)))


def test_gathered_memory_holds_what_it_held_and_lies_in_large_pages_where_the_system_has_them() -> None:
    held = bytearray(range(256)) * (16 * MiB // 256)
    gathered = gather()
    assert held == bytes(range(256)) * (16 * MiB // 256)
    assert _large() >= min(gathered, LARGE)


def _large() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("AnonHugePages:"))
