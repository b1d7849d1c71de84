"""Flags, their JSON, and the places of subjects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import BLOCKED, GENERATIONS, WHOLE, Flag, Side, Source, Trip, bucket, decode, encode, percent

VECTORS = Path(__file__).parent.parent / "vectors" / "buckets.json"

shares = st.integers(0, WHOLE)
trips = st.none() | st.builds(Trip, st.floats(0, 1e10, allow_nan=False), st.text())
sources = st.none() | st.builds(
    Source, st.integers(0, GENERATIONS), st.none() | st.text(), st.none() | st.text(max_size=16)
)
steps = st.none() | st.integers(0, GENERATIONS)
flags = st.builds(Flag, shares, shares, trips, st.integers(0, GENERATIONS), sources, steps)


@pytest.mark.parametrize(("now", "at"), [(8.0, 8.0), (5.0, 7.001)], ids=["a clock that is right", "set back"])
def test_a_trip_is_no_older_than_the_flag_that_it_is_of(now: float, at: float) -> None:
    assert Flag(generation=7_000).trip_time(now) == at


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_32, from its published description and independently of the library in use."""

    def rotate(x: int, by: int) -> int:
        return (x << by | x >> (32 - by)) & 0xFFFFFFFF

    def mix(block: bytes) -> int:
        return rotate(int.from_bytes(block, "little") * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF

    h = seed
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        h = (rotate(h ^ mix(data[i : i + 4]), 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    h ^= mix(data[whole:]) ^ len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [
        ("", 0, 0),
        ("", 1, 0x514E28B7),
        ("", 0xFFFFFFFF, 0x81F16F39),
        ("test", 0, 0xBA6BD213),
        ("test", 0x9747B28C, 0x704B81DC),
        ("Hello, world!", 0, 0xC0363E43),
        ("Hello, world!", 0x9747B28C, 0x24884CBA),
        ("The quick brown fox jumps over the lazy dog", 0, 0x2E4FF723),
        ("The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
        ("aaaa", 0x9747B28C, 0x5A97808A),
        ("aaa", 0x9747B28C, 0x283E0130),
        ("aa", 0x9747B28C, 0x5D211726),
        ("a", 0x9747B28C, 0x7FA09EA6),
    ],
)
def test_our_own_murmur3_gives_the_published_values(text: str, seed: int, expected: int) -> None:
    assert murmur3_32(text.encode(), seed) == expected


@pytest.mark.parametrize(("group", "subject", "percentile"), [("gr1", "123", 73), ("groupX", "999", 25)])
def test_unleash_publishes_the_same_percentile(group: str, subject: str, percentile: int) -> None:
    assert bucket(group, subject) // 100 + 1 == percentile


def test_unleashs_engine_gave_every_golden_subject_the_same_percentile() -> None:
    vectors = json.loads((VECTORS.parent / "unleash.json").read_text(encoding="utf-8"))
    assert {vector["group"] for vector in vectors} >= {"default", "", "Größe"}
    for vector in vectors:  # the smallest rollout with which it chose the subject
        assert bucket(vector["group"], vector["subject"]) // 100 + 1 == vector["percentile"], vector


def test_no_golden_subject_has_moved() -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert len(vectors) >= 200
    for vector in vectors:
        h = murmur3_32(f"{vector['group']}:{vector['subject']}".encode())
        assert (h, bucket(vector["group"], vector["subject"])) == (vector["murmur3"], vector["bucket"]), vector


def test_the_golden_subjects_cover_groups_scripts_and_both_ends() -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert {"default", "billing"} <= {vector["group"] for vector in vectors}
    assert any(not vector["subject"].isascii() for vector in vectors)
    assert min(vector["bucket"] for vector in vectors) < 100
    assert max(vector["bucket"] for vector in vectors) >= 9_900


@given(st.text(), st.text())
def test_every_subject_has_a_place_and_it_is_that_of_its_murmur3(group: str, subject: str) -> None:
    h = murmur3_32(f"{group}:{subject}".encode())
    assert bucket(group, subject) == h % 100 * 100 + h // 100 % 100
    assert 0 <= bucket(group, subject) < WHOLE


@given(st.text(), st.integers(0, 100))
def test_whole_percents_agree_with_unleash(subject: str, rollout: int) -> None:
    unleash = murmur3_32(f"default:{subject}".encode()) % 100 + 1 <= rollout
    assert (bucket("default", subject) < rollout * 100) is unleash


@pytest.mark.parametrize("share", [1, 50, 500, 2_500, 9_999])
def test_a_share_takes_about_that_part_of_the_subjects(share: int) -> None:
    taken = sum(bucket("default", str(subject)) < share for subject in range(40_000))
    expected = 40_000 * share / WHOLE
    assert abs(taken - expected) <= 5 * (expected * (1 - share / WHOLE)) ** 0.5 + 1


def test_a_subject_with_a_lone_surrogate_has_a_place_too() -> None:
    assert 0 <= bucket("default", "\ud800") < WHOLE


def test_each_side_has_the_other() -> None:
    assert Side.LEGACY.other is Side.NATIVE
    assert Side.NATIVE.other is Side.LEGACY


@given(flags)
def test_a_flag_survives_its_json(flag: Flag) -> None:
    assert decode(encode(flag)) == flag


def test_fields_that_a_later_version_added_are_passed_over() -> None:
    assert decode(json.dumps({**json.loads(encode(Flag(native=5))), "holdback": 200})) == Flag(native=5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"native": -1}, "native"),
        ({"native": WHOLE + 1}, "native"),
        ({"native": "500"}, "native"),
        ({"native": True}, "native"),
        ({"native": 5.0}, "native"),
        ({"native": None}, "native"),
        ({"shadow": WHOLE + 1}, "shadow"),
        ({"shadow": []}, "shadow"),
        ({"generation": -1}, "generation"),
        ({"generation": GENERATIONS + 1}, "generation"),
        ({"trip": True}, "trip"),
        ({"trip": {"at": 1.0}}, "reason"),
        ({"trip": {"reason": "x"}}, "at"),
        ({"trip": {"at": "noon", "reason": "x"}}, "trip.at"),
        ({"trip": {"at": True, "reason": "x"}}, "trip.at"),
        ({"trip": {"at": float("nan"), "reason": "x"}}, "trip.at"),
        ({"trip": {"at": float("inf"), "reason": "x"}}, "trip.at"),
        ({"trip": {"at": 1.0, "reason": 5}}, "trip.reason"),
        ({"step": -1}, "step"),
        ({"step": "7"}, "step"),
        ({"source": "Unleash"}, "source"),
        ({"source": {"group": "x", "rules": None}}, "revision"),
        ({"source": {"revision": -1, "group": None, "rules": None}}, "source.revision"),
        ({"source": {"revision": 1, "group": 5, "rules": None}}, "source.group"),
        ({"source": {"revision": 1, "group": None, "rules": True}}, "source.rules"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        decode(json.dumps({"native": 0, "shadow": 0, "trip": None, "generation": 0} | changes))


@pytest.mark.parametrize("field", ["native", "shadow", "trip", "generation"])
def test_a_missing_field_is_named(field: str) -> None:
    fields = {"native": 0, "shadow": 0, "trip": None, "generation": 0}
    del fields[field]
    with pytest.raises(ValueError, match=f"^{field}: missing"):
        decode(json.dumps(fields))


@pytest.mark.parametrize("reason", ["by hand", BLOCKED])
def test_a_trip_ends_what_a_ramp_has_given(reason: str) -> None:
    assert Flag(native=100, shadow=300, step=7).after(Trip(1.0, reason)).step is None


def test_a_flag_that_was_kept_before_there_were_sources_has_none() -> None:
    fields = json.loads(encode(Flag(native=5)))
    del fields["source"]
    assert decode(json.dumps(fields)) == Flag(native=5)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "5", "null", '"{}"', "{"])
def test_what_is_no_flag_at_all_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode(text)


def test_a_flag_out_of_range_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="native: 10001 is outside 0–10000"):
        Flag(native=10_001)


@given(flags, st.floats(0, 1e10, allow_nan=False))
def test_the_next_generation_is_past_this_one_and_no_earlier_than_the_clock(flag: Flag, now: float) -> None:
    assert flag.next_generation(now) > flag.generation
    assert flag.next_generation(now) >= int(now * 1000)


def test_a_clock_set_back_does_not_hold_up_changes() -> None:
    flag = Flag(generation=2_000)
    assert replace(flag, generation=flag.next_generation(now=1.0)).generation == 2_001


@pytest.mark.parametrize(("share", "written"), [(0, "0 %"), (5, "0.05 %"), (250, "2.5 %"), (WHOLE, "100 %")])
def test_shares_are_written_in_percent(share: int, written: str) -> None:
    assert percent(share) == written
