"""Files as they lie on disks: which form they have, what is read of them, and what is wrong with them."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay.forms import LINE, PART, Form, Reading, Unreadable, document, form_of, line_reader, lines_of
from proxy.replay.question import Reason, Recorded, Skipped
from proxy.replay.source import PIECE, STANDARD_INPUT, Source

ACCESS = '10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET /users/{} HTTP/1.1" 200 2326 "-" "-"\n'
LINES = '{{"method": "GET", "target": "/users/{}"}}\n'


def entry(url: str = "https://api.example.com/users/1", **more: Any) -> dict[str, Any]:
    headers = [{"name": ":method", "value": "GET"}, {"name": "Accept", "value": "*/*"}]
    return {
        "request": {"method": "GET", "url": url, "headers": headers},
        "response": {"content": {"text": "{]"}},
        **more,
    }


def har(*entries: Any) -> str:
    return json.dumps(
        {"log": {"version": "1.2", "creator": {"name": "Firefox"}, "pages": [], "entries": list(entries)}}
    )


def read(path: Path, text: str | bytes, form: Form | None = None) -> tuple[Form, list[Reading]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with Source(str(path), form) as source:
        return source.form, list(source.readings())


def targets(readings: list[Reading]) -> list[str]:
    return [each.target for each in readings if isinstance(each, Recorded)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


MISMATCH = {
    "id": "0b5e4d3f8a17",
    "route": "users.show",
    "samples": [
        {"at": 1.0, "method": "GET", "target": "/users/1", "headers": {"accept": "*/*"}, "control": {"side": "legacy"}},
        {"at": 1.0, "method": "GET", "target": "/users/2", "headers": {}},
    ],
}


@pytest.mark.parametrize(
    ("text", "form", "count"),
    [
        (ACCESS.format(1) + ACCESS.format(2), Form.LOG, 2),
        ("cut off\n" + ACCESS.format(1), Form.LOG, 2),
        (LINES.format(1) + LINES.format(2), Form.JSON, 2),
        ('": 17}\n' + LINES.format(1), Form.JSON, 2),
        ("{broken\n" + LINES.format(1), Form.JSON, 2),
        (har(entry(), entry()), Form.HAR, 2),
        (json.dumps(json.loads(har(entry())), indent=2), Form.HAR, 1),
        (har(), Form.HAR, 0),
        (json.dumps(MISMATCH), Form.MISMATCH, 2),
        (json.dumps(MISMATCH, indent=2), Form.MISMATCH, 2),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_is_known_by_its_content(
    text: str, form: Form, count: int, zipped: bool, mark: bytes, file: Path
) -> None:
    content = mark + text.encode()
    found, readings = read(file, gzip.compress(content) if zipped else content)
    assert (found, len(readings)) == (form, count)


@pytest.mark.parametrize("text", ["", "\n \n", "hello", "{}", "[1, 2]", '{"a": 1}\n', "\x00\x01\x02" * 99_999])
def test_what_is_none_of_these_is_refused_with_what_to_do(text: str, file: Path) -> None:
    with pytest.raises(Unreadable, match=r"--format|is empty"):
        read(file, text)


def test_what_it_is_can_be_said(file: Path) -> None:
    assert read(file, "junk\n", Form.LOG) == (Form.LOG, [Skipped(1, Reason.MALFORMED)])
    assert read(file, "", Form.LOG) == (Form.LOG, [])


def test_an_entry_of_a_har_is_read_as_the_browser_asked_it(file: Path) -> None:
    broken: list[Any] = [
        {"request": {}},
        {"request": [1]},
        {"request": {**entry()["request"], "url": None}},
        {"request": {**entry()["request"], "headers": ["x"]}},
    ]
    _, readings = read(file, har(entry(), *broken, entry("wss://api.example.com/cable")))
    assert readings[0] == Recorded(1, "GET", "https://api.example.com/users/1", ((":method", "GET"), ("Accept", "*/*")))
    assert readings[1:5] == [Skipped(number, Reason.MALFORMED) for number in range(2, 6)]
    assert targets(readings)[1] == "wss://api.example.com/cable"


def test_a_request_that_is_no_json_is_malformed_and_the_next_one_is_read(file: Path) -> None:
    text = har({"request": {"BROKEN": 1}}, entry()).replace('"BROKEN":', '"BROKEN"')
    _, readings = read(file, text)
    assert readings[0] == Skipped(1, Reason.MALFORMED)
    assert targets(readings) == ["https://api.example.com/users/1"]


def test_a_request_that_is_too_long_is_passed_over(file: Path) -> None:
    _, readings = read(file, har({"request": {"postData": "x" * PART}}, entry()))
    assert readings[0] == Skipped(1, Reason.TOO_LONG)
    assert len(readings) == 2


@pytest.mark.parametrize(
    ("told", "reading"),
    [
        ({}, Recorded(1, "GET", "/users/1")),
        (
            {"headers": [["accept", "a"], ["accept", "b"]], "repeatable": True},
            Recorded(1, "GET", "/users/1", (("accept", "a"), ("accept", "b"))),
        ),
        (
            {"credentials": ["cookie"], "others": ["x-tenant"]},
            Recorded(1, "GET", "/users/1", (), frozenset({"cookie", "x-tenant"})),
        ),
        ({"repeatable": False}, Skipped(1, Reason.REDACTED)),
        ({"repeatable": "no"}, Skipped(1, Reason.MALFORMED)),
        ({"others": "x-tenant"}, Skipped(1, Reason.MALFORMED)),
        ({"target": None}, Skipped(1, Reason.MALFORMED)),
    ],
)
def test_of_a_mismatch_is_known_which_headers_were_there_and_whether_it_is_whole(
    told: dict[str, Any], reading: Recorded | Skipped, file: Path
) -> None:
    sample = {"method": "GET", "target": "/users/1", **told}
    assert read(file, json.dumps({"id": "0b5e4d3f8a17", "samples": [sample]}))[1] == [reading]


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        (har(entry(), entry())[:-40], Form.HAR, "in the middle, behind the first 2 of"),
        ('{"log": {"version": "1.2"}}', Form.HAR, "no log.entries"),
        ("{}", Form.MISMATCH, "no samples"),
        (gzip.compress(ACCESS.encode() * 9999)[:-20], Form.LOG, "gzip data is damaged"),
        (gzip.compress(os.urandom(200_000))[:-20] + b"x" * 20, Form.LOG, "gzip data is damaged"),
        (b"\x1f\x8b\x08junk", Form.LOG, "gzip data is damaged"),
    ],
)
def test_a_file_that_breaks_off_says_so_and_tells_nothing_of_its_content(
    text: str | bytes, form: Form, words: str, file: Path
) -> None:
    with pytest.raises(Unreadable, match=words):
        read(file, text, form)


@pytest.mark.parametrize("name", ["/nowhere", "/proc", "/proc/self/mem", "\0", ""])
def test_a_file_that_cannot_be_had_says_why(name: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        Source(name)


def test_lines_are_counted_as_they_stand_the_empty_and_the_long_ones_too(file: Path) -> None:
    long = "x" * (2 * LINE + PIECE)
    text = (
        ACCESS.format(1)
        + "\r\n"
        + "junk\r\n"
        + long
        + "\n"
        + ACCESS.format(2)
        + "x" * LINE
        + "y\n"
        + ACCESS.format(3)
        + long
    )
    _, readings = read(file, text)
    assert targets(readings) == ["/users/1", "/users/2", "/users/3"]
    assert [each for each in readings if isinstance(each, Skipped)] == [
        Skipped(3, Reason.MALFORMED),
        Skipped(4, Reason.TOO_LONG),
        Skipped(6, Reason.TOO_LONG),
        Skipped(8, Reason.TOO_LONG),
    ]
    assert [each.number for each in readings] == [1, 3, 4, 5, 6, 7, 8]


def test_the_last_line_needs_no_end(file: Path) -> None:
    assert targets(read(file, (ACCESS.format(1) + ACCESS.format(2)).rstrip())[1]) == ["/users/1", "/users/2"]


def test_how_far_a_file_is_read_is_known(file: Path) -> None:
    file.write_text(ACCESS.format(1) * 10_000)
    source = Source(str(file))
    assert source.progress is not None
    assert source.progress < 0.3
    assert len(list(source.readings())) == 10_000
    assert source.progress == 1.0
    source.close()
    assert source.progress is None


def test_a_large_file_is_held_a_piece_at_a_time(file: Path) -> None:
    """Twenty megabytes in one document, a piece of which is held, and what it takes to look through that."""
    body = {"response": {"content": {"text": "\\" * 50_000}}}
    with file.open("w") as writing:
        writing.write('{"log": {"entries": [')
        writing.write(",".join(json.dumps({**entry(), **body}) for _ in range(200)))
        writing.write("]}}")
    assert file.stat().st_size > 20_000_000
    tracemalloc.start()
    try:
        with Source(str(file)) as source:
            assert sum(1 for _ in source.readings()) == 200
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def standard_input() -> Iterator[int]:
    """The writing end of what is standard input meanwhile."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield writing
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(writing)


def test_of_a_pipe_that_stays_open_each_line_is_read_as_it_comes(standard_input: int) -> None:
    os.write(standard_input, ACCESS.format(1).encode())
    source = Source(STANDARD_INPUT)
    readings = source.readings()
    assert targets([next(readings)]) == ["/users/1"]
    os.write(standard_input, ACCESS.format(2).encode())
    assert targets([next(readings)]) == ["/users/2"]
    assert source.progress is None
    source.close()


def test_what_comes_in_pieces_is_waited_for_until_it_is_known(standard_input: int) -> None:
    text = json.dumps(MISMATCH, indent=2).encode()
    os.write(standard_input, text[:20])
    os.write(standard_input, text[20:])
    source = Source(STANDARD_INPUT)
    assert source.form is Form.MISMATCH
    source.close()


@given(st.binary(max_size=300), st.sampled_from(Form), st.integers(1, 40))
def test_no_bytes_make_a_reader_fall_over(content: bytes, form: Form, size: int) -> None:
    form_of(content.decode("utf-8", "replace"))
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    if form in (Form.HAR, Form.MISMATCH):
        with suppress(Unreadable):
            assert all(isinstance(each, Recorded | Skipped) for each in document(form, pieces))
    else:
        assert all(each.number >= 1 for each in lines_of(line_reader(form), pieces))
