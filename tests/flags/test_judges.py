"""Who is asked each second, and what of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from flags.complaint import LATE, complaint
from flags.evidence.course import PATIENCE
from flags.flag import Flag, Side
from flags.judges import EASE, Judges
from flags.rollback import Judge, Kind, Rule, Verdict
from flags.window import Counts, Second, Window

ROUTE = "a"
RULE = Rule(window=30.0, min_requests=50, max_error_rate=0.02, max_excess=0.02, judge=Judge.EVIDENCE)


class Site:
    """A route half of whose users are native's, second by second."""

    def __init__(self, rule: Rule = RULE, slow_over: Mapping[str, float] | None = None) -> None:
        self.doubt = ""
        self.judges = Judges(rule, {}, slow_over or {}, Window(), doubt=lambda route: self.doubt)
        self.now, self.seconds = 1_000, dict[int, Second]()
        self.flags, self.since = {ROUTE: Flag(native=5_000)}, {ROUTE: 1_000}

    async def serve(self, *complaints: int, users: int = 40) -> Verdict | None:
        """One second of this, and what was found in it, if anybody asked."""
        native = Counts(users, users, subjects=users, complaints=frozenset(complaints))
        self.seconds[self.now] = {(ROUTE, Side.NATIVE): native, (ROUTE, Side.LEGACY): Counts(users, users, 0, 0, users)}
        return await self.judge()

    async def judge(self) -> Verdict | None:
        found = await self.judges.judge(dict(self.seconds), self.since, self.flags, self.now)
        self.now += 1
        return found.get(ROUTE)


async def test_a_route_that_does_well_is_asked_once_in_a_while_and_its_verdict_holds() -> None:
    site = Site()
    while (told := await site.serve()) is None or told.kind is not Kind.HEALTHY:
        pass
    found = [await site.serve() for _ in range(4 * EASE)]
    assert sum(told is not None for told in found) == 4
    assert site.judges.verdicts[ROUTE].kind is Kind.HEALTHY


async def test_who_does_well_and_answers_otherwise_is_not_called_healthy_and_is_not_sent_back() -> None:
    site = Site()
    site.doubt = "it answers otherwise"
    for _ in range(5 * EASE):
        await site.serve()
    told = site.judges.verdicts[ROUTE]
    assert (told.kind, told.words.endswith("; but it answers otherwise")) == (Kind.INCONCLUSIVE, True)
    site.doubt = ""
    for _ in range(EASE):
        await site.serve()
    assert site.judges.verdicts[ROUTE].kind is Kind.HEALTHY


async def test_it_is_asked_at_once_when_native_fails() -> None:
    site = Site()
    for _ in range(20):
        await site.serve()
    told = [await site.serve(*range(10 * place, 10 * place + 10)) for place in range(1, 5)]
    assert None not in told
    assert told[-1] is not None
    assert told[-1].kind is Kind.UNHEALTHY


@pytest.mark.parametrize("judge", list(Judge))
@pytest.mark.parametrize(("resting", "kind"), [(40, Kind.UNHEALTHY), (0, Kind.INCONCLUSIVE)], ids=["sends", "waits"])
async def test_whoever_is_still_sending_to_legacy_holds_no_judge_up(judge: Judge, resting: int, kind: Kind) -> None:
    """Half of legacy's users each second; where they wait for legacy instead, it might be no place to go back to."""
    site = Site(replace(RULE, judge=judge))
    for _ in range(5):
        native = Counts(40, 20, 20, subjects=40, complaints=frozenset(range(40 * site.now, 40 * site.now + 20)))
        legacy = Counts(80, 40, subjects=80, resting=resting)
        site.seconds[site.now] = {(ROUTE, Side.NATIVE): native, (ROUTE, Side.LEGACY): legacy}
        await site.judge()
    assert site.judges.verdicts[ROUTE].kind is kind


async def test_it_is_asked_of_what_came_last_though_nobody_asks_any_more() -> None:
    site = Site()
    for _ in range(20):
        await site.serve()
    for _ in range(EASE):
        await site.judge()
    assert site.judges.verdicts[ROUTE].words.startswith("native failed 0 of 800 subjects")


async def test_it_is_asked_at_once_of_a_second_that_is_about_to_be_forgotten() -> None:
    site = Site()
    for _ in range(40):
        await site.serve()
    site.seconds = {second: told for second, told in site.seconds.items() if second > site.now - PATIENCE}
    for oldest in range(EASE):
        late = min(site.seconds) + oldest
        site.seconds[late] = {**site.seconds[late], (ROUTE, Side.LEGACY): Counts(50, 50, subjects=50)}
        assert await site.judge() is not None
        del site.seconds[min(site.seconds)]


async def test_a_new_share_is_judged_at_once_whatever_was_found_before() -> None:
    site = Site()
    for _ in range(20):
        await site.serve()
    site.since = {ROUTE: site.now}
    told = await site.serve(users=4)
    assert told is not None
    assert told.kind is Kind.INCONCLUSIVE


async def test_late_is_what_took_longer_than_the_route_may() -> None:
    site = Site(slow_over={ROUTE: 2.0})
    told = None
    while told is None or told.kind is not Kind.UNHEALTHY:
        told = await site.serve(*(complaint(LATE, 100 * site.now + place) for place in range(20)))
    assert told.words.startswith("native was slower than 2 s for ")
    assert told.words.endswith("(rule C)")


async def test_a_route_that_lacks_subjects_is_asked_once_in_a_while_until_it_may_have_them() -> None:
    site = Site()
    found = [await site.serve(users=1) for _ in range(50)]
    asked = [second for second, told in enumerate(found, 1) if told is not None]
    assert asked[0] == 1
    assert len([second for second in asked if second <= 50 - EASE]) <= 1 + 50 / EASE
    near = [second for second in asked if second >= 50 - EASE]
    assert near == list(range(near[0], 51))
    assert [told.kind for told in found if told is not None][-1] is Kind.HEALTHY


async def test_a_route_that_lacks_subjects_is_asked_at_once_when_one_complains_and_from_then_on() -> None:
    site = Site()
    for _ in range(EASE):
        await site.serve(users=1)
    assert await site.serve(1, users=1) is not None
    assert [await site.serve(users=1) is not None for _ in range(EASE)] == [True] * EASE
