"""A ramp under real traffic, carried on by whoever is there."""

from __future__ import annotations

from pathlib import Path

from flags.flag import WHOLE, bucket
from tests.e2e.proxies import Proxy, running, until
from tests.e2e.test_flags import config, side

ROUTE = "things.list"
USERS = [f"user-{number}" for number in range(400)]
HELD_BACK = [user for user in USERS if bucket("default", user) >= 9_800]


def serve(proxy: Proxy) -> None:
    for user in USERS[:40]:
        side(proxy, user)


def test_a_ramp_goes_on_without_the_proxy_that_began_it_and_leaves_the_control_on_legacy(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    settings = config(origin, flags_redis) | {"holdback": "2%"}
    with running(tmp_path, settings) as other:
        with running(tmp_path, settings) as one:
            begun = one.order("ramp", ROUTE, "50", "100", "--hold", "1s", "--min-requests", "20")
            assert "step 1 of 2, 50 %" in begun.out
            until(other, lambda: other.route(ROUTE)["ramp"] is not None)
            one.service.kill()

        def at_the_top() -> bool:
            serve(other)
            return bool(other.route(ROUTE)["share"] == WHOLE)

        until(other, at_the_top)
        assert "100 % asked, 98 % in force: 2 % is held back as control: things.list." in other.order("status").out
        assert HELD_BACK
        assert {side(other, user) for user in HELD_BACK} == {"legacy"}
        assert {side(other, user) for user in set(USERS) - set(HELD_BACK)} == {"native"}
        assert other.metric("strangler_share", route=ROUTE) == 0.98

        def over() -> bool:
            serve(other)
            return other.route(ROUTE)["ramp"] is None

        until(other, over)
        assert "done at step 2 of 2, 100 %: native has held 100 %" in other.order("ramp", ROUTE).out
