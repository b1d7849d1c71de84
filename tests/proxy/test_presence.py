from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.presence import PREFIX, presence, processes

OTHER = """
import sys
from pathlib import Path
from proxy.presence import presence
with presence(Path(sys.argv[1])) as mine:
    mine.taken(7.25)
    print("here", flush=True)
    sys.stdin.read()
"""


def test_a_process_is_present_as_long_as_it_says_so(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "anew"
    with presence(directory) as mine:
        assert processes(directory) == {os.getpid(): 0.0}
        mine.taken(1_700_000_000.123456)
        assert processes(directory) == {os.getpid(): 1_700_000_000.123456}
        mine.taken(0)
        assert processes(directory) == {os.getpid(): 0.0}
    assert processes(directory) == {}
    assert list(directory.iterdir()) == []


def test_a_process_that_was_killed_is_not_present_though_its_file_is(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        assert processes(tmp_path) == {other.pid: 7.25}
        other.kill()
        other.wait()
        assert (tmp_path / f"{PREFIX}{other.pid}").exists()
        assert processes(tmp_path) == {}


@pytest.mark.parametrize("name", ["", "one", "1 "])
def test_files_of_others_are_passed_over(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}{name}").write_text("7")
    assert processes(tmp_path) == {}
