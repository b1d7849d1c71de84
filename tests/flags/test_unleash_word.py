"""What Unleash's definitions come to here, and that its own engine agrees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import WHOLE, Flag, Source, Trip, bucket
from flags.unleash.answer import Answer, Garbage, decode_answer, encode_answer, read_answer
from flags.unleash.rules import Rules
from flags.unleash.word import Unclear, Word, obeyed, read_word
from tests.flags.scripted import Definition, asks, flag, rollout

ROUTE = "messages.create"
SEGMENT = {"id": 7, "name": "testers", "constraints": [asks("userId", "1", "2")]}


def word(*strategies: Definition, **more: Any) -> Word:
    return read_word(flag(ROUTE, *strategies, **more), {7: SEGMENT})


def refusal(*strategies: Definition, **more: Any) -> str:
    with pytest.raises(Unclear) as refused:
        word(*strategies, **more)
    return str(refused.value)


@pytest.mark.parametrize(
    ("strategies", "native", "group"),
    [
        ([rollout("0")], 0, "default"),
        ([rollout("1")], 100, "default"),
        ([rollout("25")], 2_500, "default"),
        ([rollout("100")], WHOLE, "default"),
        ([rollout("25", group="a journey")], 2_500, "a journey"),
        ([rollout("25", group="")], 2_500, ""),
        ([rollout("25", group=None)], 2_500, ROUTE),
        ([rollout("25", stickiness="userId")], 2_500, "default"),
        ([rollout("25", stickiness="sessionId")], 2_500, "default"),
        ([{"name": "default"}], WHOLE, None),
        ([{"name": "default", "parameters": {}, "constraints": None, "segments": []}], WHOLE, None),
        ([], WHOLE, None),
    ],
)
def test_one_sticky_rollout_is_a_share_of_its_group(
    strategies: list[Definition], native: int, group: str | None
) -> None:
    assert word(*strategies) == Word(native, group)


def test_a_flag_that_is_off_is_a_share_of_nothing_whatever_it_would_say() -> None:
    assert word(rollout("2.5"), {"name": "unheard of"}, enabled=False, project="apps") == Word(0, project="apps")


@pytest.mark.parametrize(
    "strategies",
    [
        [rollout("25"), rollout("50")],
        [rollout("25", constraints=[asks("userId", "1")])],
        [rollout("25", segments=[7])],
        [{"name": "userWithId", "parameters": {"userIds": "1, 2"}}],
        [{"name": "remoteAddress", "parameters": {"IPs": "10.0.0.0/8"}}],
        [{"name": "gradualRolloutUserId", "parameters": {"percentage": "25", "groupId": "x"}}],
    ],
)
def test_what_no_share_can_say_is_left_to_the_engine(strategies: list[Definition]) -> None:
    said = word(*strategies)
    assert (said.native, said.group) == (WHOLE, None)
    assert said.rules is not None
    assert Rules(ROUTE, said.rules).choose("1", "10.1.2.3") in (True, False)


def test_rules_choose_by_subject_and_address() -> None:
    named = Rules(ROUTE, word({"name": "userWithId", "parameters": {"userIds": "ada, bob"}}).rules or "")
    assert [named.choose(subject, "::1") for subject in ("ada", "bob", "eve")] == [True, True, False]
    near = Rules(ROUTE, word({"name": "remoteAddress", "parameters": {"IPs": "10.0.0.0/8"}}).rules or "")
    assert [near.choose("ada", address) for address in ("10.1.2.3", "192.0.2.1")] == [True, False]
    testers = Rules(ROUTE, word(rollout("100", segments=[7])).rules or "")
    assert [testers.choose(subject, "::1") for subject in ("1", "2", "3")] == [True, True, False]


@pytest.mark.parametrize("percent", ["2.5", "-1", "101", "x", "", " 50 ", "٥", 50, 2.5, None, ["50"]])
def test_a_rollout_that_is_no_whole_percentage_is_refused(percent: object) -> None:
    assert f"its rollout {percent!r} is no whole percentage" in refusal(rollout(percent))
    assert "no whole percentage" in refusal(rollout("50"), rollout(percent))


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (rollout("50", stickiness="random"), "its stickiness is random"),
        (rollout("50", stickiness="tenantId"), 'its stickiness "tenantId" is not known here'),
        (rollout("50", group=5), "its group 5 is no text"),
        (rollout("50", group='a "b"'), "SDKs do not take its group"),
        (rollout("50", group="a\\"), "SDKs do not take its group"),
        ({"name": "gradualRolloutRandom", "parameters": {"percentage": "50"}}, "its rollout is random"),
        ({"name": "moonPhase", "parameters": {}}, 'the strategy "moonPhase" is not known here'),
        ({"name": "userWithId", "parameters": {}}, "lists nobody"),
        ({"name": None}, "a strategy is malformed"),
        ({"name": "flexibleRollout", "parameters": []}, "a strategy is malformed"),
        (rollout("50", constraints=[asks("country", "de")]), 'it asks for "country", which is not known of a request'),
        (rollout("50", constraints={"a": 1}), "its constraints are malformed"),
        (rollout("50", segments=[8]), "its segment 8 is not among those that Unleash tells"),
        (rollout("50", segments="7"), "its segments are malformed"),
    ],
)
def test_what_would_be_decided_otherwise_here_or_by_chance_is_refused(strategy: Definition, words: str) -> None:
    assert words in refusal(strategy)
    assert words in refusal(rollout("10"), strategy)


def test_a_segment_that_asks_for_what_is_not_known_is_refused() -> None:
    with pytest.raises(Unclear, match='asks for "plan"'):
        read_word(flag(ROUTE, rollout("5", segments=[7])), {7: {"id": 7, "constraints": [asks("plan", "gold")]}})


def test_a_flag_that_depends_on_another_is_refused() -> None:
    assert "depends on another flag" in refusal(rollout("50"), dependencies=[{"feature": "other"}])


@pytest.mark.parametrize("changes", [{"enabled": "yes"}, {"enabled": None}, {"project": 5}, {"strategies": {"a": 1}}])
def test_a_malformed_definition_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unclear, match="malformed"):
        read_word({**flag(ROUTE, rollout("5")), **changes}, {})


def test_rules_that_the_engine_does_not_take_are_refused() -> None:
    said = word(rollout("50", constraints=[asks("userId", "1", operator="RESEMBLES")]))
    with pytest.raises(Unclear, match="does not take its rules"):
        Rules(ROUTE, said.rules or "")


percents = st.integers(0, 100).map(str)
groups = st.none() | st.text(max_size=8).filter(lambda group: '"' not in group and not group.endswith("\\"))


@given(percents, groups, st.text(max_size=20))
def test_a_share_takes_whom_the_engine_of_the_sdks_takes(percent: str, group: str | None, subject: str) -> None:
    share = word(rollout(percent, group))
    # Doubled it is the same rollout, and no share any more.
    engine = Rules(ROUTE, word(rollout(percent, group), rollout(percent, group)).rules or "")
    taken = bucket(ROUTE if share.group is None else share.group, subject) < share.native
    assert taken is engine.choose(subject, "::1") or subject == ""  # the engine has no place for nobody


@given(st.lists(st.tuples(percents, groups), min_size=2, max_size=4), st.text(min_size=1, max_size=20))
def test_of_several_rollouts_each_is_counted_as_if_it_were_alone(several: list[tuple[str, str]], subject: str) -> None:
    engine = Rules(ROUTE, word(*(rollout(*each) for each in several)).rules or "")
    alone = [word(rollout(*each)) for each in several]
    assert engine.choose(subject, "::1") is any(bucket(str(one.group), subject) < one.native for one in alone)


def test_an_answer_has_a_word_for_each_route_and_passes_over_other_flags() -> None:
    told = {
        "features": [flag("a", rollout("5")), flag("b", rollout("2.5")), flag("other", {"name": "moonPhase"})],
        "meta": {"revisionId": 12},
    }
    answer = read_answer(told, ["a", "b", "c"])
    assert answer.words == {"a": Word(500, "default"), "c": Word()}
    assert answer.revision == 12
    assert list(answer.refused) == ["b"]


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "nonsense",
        {},
        {"features": {}},
        {"features": [5], "meta": {"revisionId": 1}},
        {"features": [{}], "meta": {"revisionId": 1}},
        {"features": []},
        {"features": [], "meta": {"revisionId": "1"}},
        {"features": [], "meta": {"revisionId": -1}},
        {"features": [], "meta": {"revisionId": True}},
    ],
)
def test_what_are_no_definitions_is_garbage(told: object) -> None:
    with pytest.raises(Garbage):
        read_answer(told, ["a"])


words = st.builds(Word, st.integers(0, WHOLE), groups, groups, st.text(max_size=5))


@given(st.integers(0, 10**9), st.dictionaries(st.sampled_from("abc"), words))
def test_what_is_kept_is_read_back_as_it_was(revision: int, said: dict[str, Word]) -> None:
    kept = encode_answer(Answer(revision, said, {"d": "not kept"}))
    assert decode_answer(kept, "abc") == Answer(revision, said)
    assert decode_answer(kept, "a").words.keys() == said.keys() & {"a"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"words": {}}',
        '{"revision": 1, "words": {"a": 5}}',
        '{"revision": 1, "words": {"a": {"native": 10001, "group": null, "rules": null, "project": ""}}}',
        '{"revision": 1, "words": {"a": {"native": true, "group": null, "rules": null, "project": ""}}}',
        '{"revision": 1, "words": {"a": {"native": 1, "group": 5, "rules": null, "project": ""}}}',
    ],
)
def test_what_was_not_kept_by_us_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_answer(text, "abc")


RULED = Word(WHOLE, rules='{"a": 1}')


@pytest.mark.parametrize(
    ("before", "said", "native"),
    [
        (Flag(), Word(500, "g"), 500),
        (Flag(500), Word(500, "g"), 500),
        (Flag(500, source=Source(3, "g")), Word(), 0),
        (Flag(500, source=Source(3, "g")), Word(500, "h"), 500),
        (Flag(WHOLE, source=Source(3)), RULED, WHOLE),
        (Flag(WHOLE, source=Source(3, rules="others")), RULED, WHOLE),
    ],
)
def test_a_flag_obeys_a_word_that_says_something_else(before: Flag, said: Word, native: int) -> None:
    assert obeyed(before, said, 9) == (native, said.source(9))


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (Flag(trip=Trip(1.0, "native failed")), Word(500, "g")),
        (Flag(500, source=Source(10, "g")), Word(2_500, "g")),
        (Flag(500, source=Source(3, "g")), Word(500, "g")),
        (Flag(), Word(0, "g")),
        (Flag(0, source=Source(3, "h")), Word(0, "g")),
        (Flag(WHOLE, source=RULED.source(3)), RULED),
    ],
    ids=["tripped", "knows a newer word", "obeys", "nobody", "nobody of another group", "has these rules"],
)
def test_a_flag_that_is_tripped_or_knows_better_or_obeys_stays_as_it_is(before: Flag, said: Word) -> None:
    assert obeyed(before, said, 9) == (before.native, before.source)
