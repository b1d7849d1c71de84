"""What is measured, as processes: started on one core, and what each of them and its children have used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bench.machine import ROOT
from demo.service import Service, launch
from demo.stores import INHERITED

TICK = os.sysconf("SC_CLK_TCK")


def pinned(name: str, command: Sequence[str | Path], *, cores: Iterable[int], port: int, directory: Path) -> Service:
    """Start a process that may run on these cores alone."""
    allowed = ",".join(str(core) for core in sorted(set(cores)))
    return launch(
        name,
        ["taskset", "--cpu-list", allowed, *command],
        port=port,
        log=directory / f"{name.replace(' ', '-')}-{port}.log",
        environment=INHERITED,
        directory=ROOT,
    )


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    with suppress(OSError):  # it ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def pin(pid: int, cores: Iterable[int]) -> None:
    """Let a process that runs already, with all its threads, run on these cores alone."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), set(cores))


def cpu_seconds(pid: int) -> float:
    """The processor time that a process and its living descendants have used, the kernel's on their behalf included."""
    return sum(_cpu(member) for member in family(pid))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def machine_seconds() -> float:
    """The processor time that everybody on this machine has used."""
    user, nice, system, _idle, _waiting, *interrupts = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / TICK


def resident(pid: int) -> int:
    """Bytes of memory that a process and its descendants hold now."""
    return sum(_status(member, "VmRSS") for member in family(pid))


def forget_peak(pid: int) -> None:
    """Let the highest resident memory count anew from here."""
    for member in family(pid):
        Path(f"/proc/{member}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """The highest resident memory, in bytes, since it was forgotten; kept by the kernel, so no spike is missed."""
    return sum(_status(member, "VmHWM") for member in family(pid))


def _status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} tells no {key}")
