"""Standard output as whoever reads it sees it: promptly, slowly, or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from proxy.output import Output

PATIENCE = 20.0  # seconds; only a failing test waits as long
FULL = 64 * 1024  # bytes that a pipe holds


@dataclass(slots=True)
class Pipe:
    reader: IO[bytes]
    writer: int

    def lines(self, number: int) -> list[str]:
        return [self.reader.readline().decode() for _ in range(number)]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb"):
        yield Pipe(reader, writing)


def closed(output: Output) -> threading.Thread:
    """The output being closed, while the test goes on."""
    thread = threading.Thread(target=output.close, args=(PATIENCE,))
    thread.start()
    return thread


def test_lines_come_out_in_order_without_being_asked_for(pipe: Pipe) -> None:
    output = Output(pipe.writer)
    for word in ("one\n", "two\n", "thrée\n"):
        output.write(word)
    assert pipe.lines(3) == ["one\n", "two\n", "thrée\n"]
    output.close()


def test_what_is_no_line_and_what_is_no_text_comes_out_too(pipe: Pipe) -> None:
    output = Output(pipe.writer)
    output.write("half a character: \ud800\n")
    output.write("no end")
    output.close()
    assert os.read(pipe.reader.fileno(), FULL) == b"half a character: \\ud800\nno end"


def test_an_output_that_took_nothing_has_nothing_to_end() -> None:
    Output(-1).close()


def test_lines_come_out_after_a_pause_as_before(pipe: Pipe) -> None:
    output = Output(pipe.writer)
    for word in ("one\n", "two\n"):
        output.write(word)
        output.flush()
        assert pipe.lines(1) == [word]
    output.close()


def test_nothing_is_lost_at_the_end(pipe: Pipe) -> None:
    output = Output(pipe.writer)
    wanted = [f"{number} {'x' * 300}\n" for number in range(5_000)]
    for line in wanted:
        output.write(line)
    closing = closed(output)
    assert pipe.lines(len(wanted)) == wanted
    closing.join(PATIENCE)
    assert not closing.is_alive()


def test_a_reader_that_stops_makes_nobody_wait_and_hears_afterwards_what_it_missed(pipe: Pipe) -> None:
    output = Output(pipe.writer, limit=2 * FULL)
    line = "x" * 1023 + "\n"
    for _ in range(1_000):
        output.write(line)
    kept, lost = 0, 0
    while kept + lost < 1_000:
        said = pipe.lines(1)[0]
        if said == line:
            kept += 1
        else:
            record = json.loads(said)
            lost += record["lost"]
            assert (record["level"], record["timestamp"][-1]) == ("warning", "Z")
    assert lost > 0
    output.write("and on it goes\n")
    assert pipe.lines(1) == ["and on it goes\n"]
    output.close()


def test_an_end_without_a_reader_is_not_waited_for_for_ever(pipe: Pipe, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(pipe.writer)
    for _ in range(2 * FULL // 1024):
        output.write("x" * 1023 + "\n")
    output.close(patience=0.0)
    assert "log records are lost" in capsys.readouterr().err
    pipe.lines(2 * FULL // 1024)  # a late reader lets the writing thread end
    output.close()
    assert capsys.readouterr().err == ""


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    output = Output(writing)
    for _ in range(3):
        output.write("unheard\n")
    output.close()
    os.close(writing)
    assert "at least 3 log records are lost" in capsys.readouterr().err


def test_a_pipe_that_somebody_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    output = Output(pipe.writer)
    wanted = [f"{number} {'x' * 1000}\n" for number in range(500)]
    for line in wanted:
        output.write(line)
    closing = closed(output)
    assert pipe.lines(len(wanted)) == wanted
    closing.join(PATIENCE)


def test_lines_of_several_processes_in_one_pipe_stay_whole() -> None:
    program = (
        "import sys; from proxy.output import Output; output = Output()\n"
        "for number in range(3_000): output.write(sys.argv[1] * (100 + number % 900) + '\\n')"
    )
    reading, writing = os.pipe()
    writers = [subprocess.Popen([sys.executable, "-c", program, letter], stdout=writing) for letter in "abc"]
    os.close(writing)
    with os.fdopen(reading, "rb") as reader:
        lines = [line.decode() for line in reader]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0, 0]
    assert len(lines) == 9_000
    assert all(set(line[:-1]) in ({"a"}, {"b"}, {"c"}) for line in lines)


def test_a_line_longer_than_a_pipe_takes_at_once_comes_whole(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb") as sink:
        output = Output(sink.fileno())
        for line in ("short\n", "x" * 10_000 + "\n", "short\n"):
            output.write(line)
        output.close()
    assert file.read_text() == "short\n" + "x" * 10_000 + "\nshort\n"
