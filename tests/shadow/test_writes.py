"""What a side says of a shadow that tried more than to read, or that it does not answer."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.compare import Kind, Outcome, Rules, compare
from shadow.export import export
from shadow.journal import Journal
from shadow.observation import Observation
from shadow.result import Difference
from tests.shadow.answers import Side, answer, experiment, reply, running, scope, side

WROTE = answer({"error": "internal_server_error"}, (b"X-Strangler-Shadow", b"wrote"), status=500)
FINE = answer({"id": 1})


def saying(word: bytes, status: int, *before: Any) -> Side:
    """A side that gives these answers, and from then on only says this word."""
    left = list(before)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if left:
            return await side(left.pop(0))(scope, receive, send)
        return await reply(send, b"{}", (b"x-strangler-shadow", word), status=status)

    return app


async def writes(journal: Journal) -> list[tuple[str | None, str | None, bool]]:
    """What the journal shows of both sides' ends, and whether it is confirmed."""
    listed = [await journal.find(each.id) for each in await journal.latest(10)]
    found = [each for each in listed if each is not None and each.kind == Kind.WRITE.value]
    return [(each.samples[0].control.shown, each.samples[0].candidate.shown, each.confirmed) for each in found]


@pytest.mark.parametrize(
    ("control", "candidate", "ends"),
    [(FINE, WROTE, (200, "wrote")), (WROTE, FINE, ("wrote", 200)), (WROTE, WROTE, ("wrote", "wrote"))],
)
def test_a_write_is_the_one_difference_and_no_rule_covers_it(
    control: Observation, candidate: Observation, ends: tuple[int | str, int | str]
) -> None:
    result = compare(control, candidate, Rules.parse(ignore=["error", "headers.x-strangler-shadow"]))
    assert (result.outcome, result.count) == (Outcome.MISMATCHED, 1)
    assert result.differences == (Difference("", Kind.WRITE, *ends),)


@pytest.mark.parametrize("word", [b"", b"1", b"wrote, wrote", b"r-1"])
def test_another_word_says_nothing(word: bytes) -> None:
    seen = answer({"id": 1}, (b"x-strangler-shadow", word))
    assert compare(FINE, seen, Rules()).outcome is Outcome.MATCHED
    assert (seen.wrote, seen.refused) == (False, False)


async def test_a_candidate_that_wrote_is_a_mismatch_without_being_asked_again() -> None:
    sides = {"legacy": side({"id": 2}), "native": saying(b"wrote", 500)}
    async with running(sides) as (runner, ledger, journal):
        runner.offer(experiment(FINE))
        await ledger.finished(1)
    assert ledger.outcomes == ["mismatched"]
    assert await writes(journal) == [("200", '"wrote"', True)]
    assert len(await journal.latest(10)) == 1


async def test_an_exported_test_asks_as_a_shadow() -> None:
    sides = {"legacy": side({"id": 1}), "native": saying(b"wrote", 500)}
    async with running(sides) as (runner, ledger, journal):
        runner.offer(experiment(FINE, scope=scope("/things", (b"accept", b"*/*"))))
        await ledger.finished(1)
    (listed,) = await journal.latest(1)
    found = await journal.find(listed.id)
    assert found is not None
    assert "HEADERS = [('accept', '*/*'), ('x-strangler-shadow', 'exported')]" in export(found, {}).text


async def test_a_control_that_writes_cannot_confirm_what_differs_and_is_named() -> None:
    sides = {"legacy": saying(b"wrote", 500), "native": side({"id": 2})}
    async with running(sides) as (runner, ledger, journal):
        runner.offer(experiment(FINE))
        await ledger.finished(1)
    assert ledger.outcomes == ["unchecked"]
    assert await writes(journal) == [('"wrote"', "200", True)]


async def test_a_control_that_writes_when_it_is_asked_twice_for_its_noise_is_named_and_taught_nothing() -> None:
    sides = {"legacy": saying(b"wrote", 500), "native": side({"id": 1}, {"id": 1}, {"id": 2})}
    async with running(sides, draw=lambda: 0.0) as (runner, ledger, journal):
        for count in (1, 2, 3):
            runner.offer(experiment(FINE))
            await ledger.finished(count)
    assert ledger.outcomes == ["matched", "matched", "unchecked"]
    assert [control for control, *_ in await writes(journal)] == ['"wrote"']


async def test_a_control_that_begins_to_write_while_it_is_asked_again_confirms_nothing() -> None:
    sides = {"legacy": saying(b"wrote", 500, {"id": 1}), "native": side({"id": 2})}
    async with running(sides) as (runner, ledger, _):
        runner.offer(experiment(FINE))
        await ledger.finished(1)
    assert ledger.outcomes == ["unconfirmed"]


async def test_a_candidate_that_answers_no_shadows_is_not_compared() -> None:
    async with running({"legacy": side({"id": 1}), "native": saying(b"refused", 503)}) as (runner, ledger, journal):
        runner.offer(experiment(FINE))
        await ledger.finished(1)
    assert ledger.outcomes == ["unanswered"]
    assert await journal.latest(10) == []


async def test_a_control_that_answers_no_shadows_confirms_nothing() -> None:
    async with running({"legacy": saying(b"refused", 503), "native": side({"id": 2})}) as (runner, ledger, _):
        runner.offer(experiment(FINE))
        await ledger.finished(1)
    assert ledger.outcomes == ["unconfirmed"]
