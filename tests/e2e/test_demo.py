"""The demo as people start it: whether its story holds, and what is left of it afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO

import pytest

ROOT = Path(__file__).parent.parent.parent
ENOUGH = 900.0  # seconds for a whole story on a machine that is busy with other things
POLL = 0.05
pytestmark = pytest.mark.timeout(ENOUGH + 60)


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the demo keeps its files. Not under pytest's own folder, which PostgreSQL's user may not enter."""
    directory = Path(tempfile.mkdtemp(prefix="strangler-demo-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def demo(place: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, started; killed at the end should it still run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place), "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def services(place: Path, word: str = "") -> list[int]:
    """The processes whose command or environment names the place, and the word."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # gone meanwhile, or not ours
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            if str(place).encode() + b"/" in told and word.encode() in told:
                found.append(int(entry.name))
    return found


def is_nothing_left(place: Path) -> bool:
    """What was killed in the end may need a moment to be gone."""
    late = monotonic() + 30
    while services(place) and monotonic() < late:
        continue
    return (services(place), list(place.iterdir())) == ([], [])


def read_until(output: IO[str] | None, word: str) -> str:
    assert output is not None
    told = ""
    for line in output:
        told += line
        if word in line:
            return told
    raise AssertionError(f"{word!r} never came:\n{told}")


def wait_until(holds: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not holds():
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the demo ended with status {process.wait(POLL)}")


def test_the_story_holds_and_leaves_nothing_behind(place: Path) -> None:
    with demo(place, "--once", "--chapter", "1", "--minutes", "0.1") as process:
        told, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, told
    assert "Not as it should be" not in told
    assert "$ strangler set conversations.list 25%" in told
    assert "conversations.list is back on legacy, by itself" in told
    assert "messages.create is back on legacy, by itself" in told
    assert "killed, and serves again" in told
    assert "Wrong answers: 0." in told
    assert "none was wrong" in told
    assert "none is lost, none is there twice" in told.replace("\n  ", " ")
    assert is_nothing_left(place), (services(place), list(place.iterdir()))


@pytest.mark.parametrize(("word", "number"), [("Starting", signal.SIGTERM), ("1. Everything", signal.SIGINT)])
def test_stopped_at_any_moment_it_leaves_nothing_behind(place: Path, word: str, number: signal.Signals) -> None:
    with demo(place) as process:
        read_until(process.stdout, word)
        wait_until(lambda: services(place), process)
        process.send_signal(number)
        told, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert is_nothing_left(place), (services(place), list(place.iterdir()))


def test_when_a_service_dies_the_demo_says_which_and_stops(place: Path) -> None:
    with demo(place) as process:
        read_until(process.stdout, "1. Everything")
        (native,) = services(place, "handlers")
        os.kill(native, signal.SIGKILL)
        told, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == 1, told
    assert "native ended with status -9" in told
    assert "Traceback" not in told
    assert is_nothing_left(place), (services(place), list(place.iterdir()))
