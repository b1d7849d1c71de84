"""Whether the time that a refused sign-in takes tells if somebody has the e-mail. No time is asserted: only ranks."""

from __future__ import annotations

import bisect
import random
import time
from statistics import median

import bcrypt
import psycopg
import pytest

from tests.parity.sides import LEGACY, NATIVE, Case, Sides
from tests.parity.tables import given

ROUNDS = 200
# Digests as production has them, and cheaper ones: those must stand out, or the measurement would see nothing.
COSTS = {"somebody": 12, "cheap": 10}
EMAILS = {name: f"{name}@timing.example" for name in ("nobody", *COSTS)}


def likelihood(one: list[float], other: list[float]) -> float:
    """How likely a time of the one is longer than one of the other: a half if the two cannot be told apart."""
    ranked = sorted(other)
    places = (bisect.bisect_left(ranked, value) + bisect.bisect_right(ranked, value) for value in one)
    return sum(places) / (2 * len(one) * len(other))


def test_what_is_longer_is_likely_longer() -> None:
    assert likelihood([1, 2, 3], [1, 2, 3]) == 0.5
    assert likelihood([4, 5], [1, 2, 3]) == 1
    assert likelihood([1], [1, 2, 2, 2]) == 0.125


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("side", [LEGACY, NATIVE])
def test_a_refused_sign_in_takes_as_long_whoever_is_named(
    sides: Sides, database: psycopg.Connection, side: str
) -> None:
    for name, cost in COSTS.items():
        digest = bcrypt.hashpw(b"password", bcrypt.gensalt(cost, prefix=b"2a")).decode()
        database.execute("delete from users where email = %s", [EMAILS[name]])
        database.execute(
            """insert into users (account_id, email, password_digest, name, role, created_at, updated_at)
               values (1, %s, %s, 'x', 'agent', now(), now())""",
            [EMAILS[name], digest],
        )
    times: dict[str, list[float]] = {name: [] for name in EMAILS}
    for _ in range(ROUNDS):
        for name in random.sample([*EMAILS], len(EMAILS)):  # what else the machine does falls on all alike
            case = Case("wrong", 401, "/auth/login", "POST", None, given(email=EMAILS[name], password="wrong"))
            began = time.perf_counter()
            reply = sides.ask(side, case)
            times[name].append(time.perf_counter() - began)
            assert reply.status == 401
    told, seen = (likelihood(times["nobody"], times[name]) for name in ("somebody", "cheap"))
    medians = ", ".join(f"{name} {median(values) * 1000:.1f} ms" for name, values in times.items())
    print(f"{side}: {medians}; longer for nobody than for somebody: {told:.3f}, than cheap: {seen:.3f}")  # noqa: T201  # the soak's figures
    assert seen > 0.9
    assert abs(told - 0.5) < 0.1  # by chance alone it is beyond that once in a thousand
