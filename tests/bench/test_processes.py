from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.processes import cpu_seconds, family, forget_peak, peak, resident

MIB = 2**20
# A parent that makes a child and passes it what it is told; the child takes memory, returns it, and burns time.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=sys.stdin)
child.wait()
"""
CHILD = """
import sys
print("begun", flush=True)
for line in sys.stdin:
    block = bytearray(int(line))
    block[::4096] = b"x" * len(block[::4096])
    del block
    sum(range(3_000_000))
    print("done", flush=True)
"""


@contextmanager
def family_of_two() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        said(parent, "begun")
        try:
            yield parent
        finally:
            assert parent.stdin is not None
            parent.stdin.close()


def said(parent: subprocess.Popen[str], word: str) -> None:
    assert parent.stdout is not None
    assert parent.stdout.readline().strip() == word


def told(parent: subprocess.Popen[str], size: int) -> None:
    assert parent.stdin is not None
    parent.stdin.write(f"{size}\n")
    parent.stdin.flush()
    said(parent, "done")


def test_a_spike_between_two_looks_is_seen_and_can_be_forgotten() -> None:
    with family_of_two() as parent:
        before = resident(parent.pid)
        told(parent, 100 * MIB)
        assert peak(parent.pid) - before > 99 * MIB
        assert resident(parent.pid) - before < 50 * MIB
        forget_peak(parent.pid)
        assert peak(parent.pid) - before < 50 * MIB


def test_what_children_use_counts_for_the_whole() -> None:
    with family_of_two() as parent:
        assert len(family(parent.pid)) == 2
        before = cpu_seconds(parent.pid)
        told(parent, MIB)
        assert cpu_seconds(parent.pid) > before
