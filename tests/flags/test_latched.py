"""Rollbacks on disk: what was said last holds, whatever the file looks like."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import Trip
from flags.latched import EVERY, Latched

ROUTES = ["things.list", "things.show"]


@pytest.fixture
def latched(tmp_path: Path) -> Latched:
    return Latched(tmp_path / "state")


def test_what_is_kept_is_read_again(latched: Latched) -> None:
    trip = Trip(12.5, "by hand: ümläut 🙂")
    latched.keep({"things.list": trip})
    assert latched.read(ROUTES, told=False) == {"things.list": trip}
    assert Latched(latched.directory).read(ROUTES, told=False) == {"things.list": trip}


def test_a_directory_that_is_not_there_holds_nothing(latched: Latched) -> None:
    assert latched.read(ROUTES, told=False) == {}
    latched.lift("things.list", 1.0)
    assert not latched.directory.exists()


def test_every_route_is_rolled_back_whatever_it_is_called(latched: Latched) -> None:
    trip = Trip(12.5, "by hand")
    latched.keep({EVERY: trip})
    assert latched.read([*ROUTES, "one.that.comes.later"], told=False) == dict.fromkeys(
        [*ROUTES, "one.that.comes.later"], trip
    )


def test_once_the_store_has_heard_of_it_a_rollback_of_every_route_is_one_of_those_that_there_were(
    latched: Latched,
) -> None:
    trip = Trip(12.5, "by hand")
    latched.keep({EVERY: trip})
    latched.keep({EVERY: trip}, ROUTES)
    assert latched.read([*ROUTES, "one.that.comes.later"], told=True) == dict.fromkeys(ROUTES, trip)
    assert latched.read([*ROUTES, "one.that.comes.later"], told=False) == {}


def test_a_route_that_was_reset_is_held_neither_by_its_own_rollback_nor_by_that_of_all(latched: Latched) -> None:
    own, all_ = Trip(1.0, "its own"), Trip(2.0, "of all")
    latched.keep({"things.list": own, EVERY: all_})
    latched.lift("things.list", 3.0)
    assert latched.read(ROUTES, told=False) == {"things.show": all_}
    again = Trip(4.0, "once more")
    latched.keep({EVERY: again})
    assert latched.read(ROUTES, told=False) == dict.fromkeys(ROUTES, again)


def test_a_reset_lifts_even_if_the_clock_was_set_back(latched: Latched) -> None:
    latched.keep({EVERY: Trip(1_000.0, "by hand")})
    latched.lift("things.list", 5.0)
    assert set(latched.read(ROUTES, told=False)) == {"things.show"}


@given(
    words=st.lists(
        st.tuples(st.sampled_from([*ROUTES, EVERY]), st.sampled_from(["keep", "lift"]), st.integers(1, 50)), max_size=12
    )
)
def test_the_last_word_on_a_route_holds(
    words: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    latched, held = Latched(tmp_path_factory.mktemp("state")), dict[str, Trip]()
    for at, (route, word, number) in enumerate(words, 1):
        meant = ROUTES if route == EVERY else [route]
        if word == "keep":
            trip = Trip(float(at), f"reason {number}")
            latched.keep({route: trip})
            held |= dict.fromkeys(meant, trip)
        else:
            for each in meant:
                latched.lift(each, float(at))
                held.pop(each, None)
    assert latched.read(ROUTES, told=False) == held


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"at": 1}',
        '{"at": Infinity, "reason": "x", "told": true}',
        '{"at": "soon", "reason": "x"}',
        "\ufffd" * 10,
        "null",
    ],
)
def test_a_file_that_cannot_be_read_is_a_rollback_that_says_so(text: str, latched: Latched) -> None:
    latched.keep({"things.list": Trip(1.0, "by hand")})
    (path,) = latched.directory.iterdir()
    path.write_text(text)
    (trip,) = latched.read(ROUTES, told=False).values()
    assert str(path) in trip.reason
    assert "cannot be read" in trip.reason
    assert trip.at == path.stat().st_mtime
    latched.lift("things.list", trip.at)
    assert latched.read(ROUTES, told=False) == {}


def test_a_process_that_dies_while_it_writes_leaves_what_was_there(latched: Latched) -> None:
    latched.keep({"things.list": Trip(1.0, "by hand")})
    pid = os.fork()
    if pid == 0:
        replace = Path.replace
        Path.replace = lambda self, target: os._exit(0)  # type: ignore[method-assign]  # between its two lines
        latched.keep({"things.list": Trip(2.0, "never said")})
        os._exit(replace is None)
    os.waitpid(pid, 0)
    assert latched.read(ROUTES, told=False) == {"things.list": Trip(1.0, "by hand")}
    assert {json.loads(path.read_text())["at"] for path in latched.directory.iterdir()} == {1.0, 2.0}


def test_a_disk_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Latched(tmp_path / "file").keep({EVERY: Trip(1.0, "by hand")})


def test_words_that_could_not_be_told_again_are_mended_as_they_are_read(latched: Latched) -> None:
    latched.keep({"a": Trip(1.0, "St\udcf6rung", "Z\udcf6e")})
    trip = latched.read(["a"], told=False)["a"]
    assert (trip.reason, trip.who) == ("St?rung", "Z?e")
