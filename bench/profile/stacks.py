"""Sampled stacks, folded by frame. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LOOP = "uvloop, its callbacks in C, and the kernel"  # whatever runs with no Python frame but the loop's own


@dataclass(frozen=True, slots=True)
class Frame:
    function: str
    file: str
    line: str


@dataclass(frozen=True, slots=True)
class Stack:
    """What was on the stack, outermost first, in so many samples."""

    frames: tuple[Frame, ...]
    samples: int


def parsed(raw: str) -> list[Stack]:
    """py-spy's raw output: `outer (file.py:1);inner (file.py:2) 17` a line.

    Without other threads than the loop's: the watchdog's sleeps, and py-spy takes that for work.
    """
    stacks = []
    for line in raw.splitlines():
        texts, _, samples = line.rpartition(" ")
        frames = tuple(_frame(text) for text in texts.split(";"))
        if frames[0].file != "threading.py":
            stacks.append(Stack(frames, int(samples)))
    return stacks


def _frame(text: str) -> Frame:
    function, _, place = text.rpartition(" (")
    file, _, line = place.rstrip(")").rpartition(":")
    return Frame(function, file, line)


def by_file(stacks: Iterable[Stack]) -> Counter[str]:
    """Samples by the file of the innermost frame: what C did for a frame counts for it."""
    return _folded(stacks, lambda stack: {_file(stack.frames[-1])})


def by_line(stacks: Iterable[Stack]) -> Counter[str]:
    """Samples by the line that was at work, which tells system calls apart that one function makes."""
    return _folded(
        stacks, lambda stack: {f"{stack.frames[-1].function} ({_file(stack.frames[-1])}:{stack.frames[-1].line})"}
    )


def by_function(stacks: Iterable[Stack]) -> Counter[str]:
    """Samples by every function that was on the stack: what it called counts for it too."""
    return _folded(stacks, lambda stack: {f"{frame.function} ({_file(frame)})" for frame in stack.frames})


def _folded(stacks: Iterable[Stack], names: Callable[[Stack], Iterable[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stack in stacks:
        for name in names(stack):
            counts[name] += stack.samples
    return counts


def _file(frame: Frame) -> str:
    return LOOP if frame.file.endswith(("asyncio/runners.py", "uvloop/__init__.py")) else frame.file


def markdown(head: str, counts: Counter[str], total: int, cpu: float, least: float) -> str:
    """Those that take at least this part of all samples, with their part of a request's processor time `cpu` (µs).

    What is in every sample, such as the command's own `main`, tells nothing and is left out.
    """
    rows = [f"| {head} | part | µs |", "|---|---:|---:|"]
    for name, samples in counts.most_common():
        part = samples / total
        if least <= part < 1:
            rows.append(f"| {name} | {part:.1%} | {part * cpu:.1f} |")
    return "\n".join(rows)
