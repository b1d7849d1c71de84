"""What happens to shares and trips when a worker dies in between, and while native is being deployed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import yaml

from demo.service import LOOPBACK, Service, free_port, launch
from tests.e2e.door import door
from tests.e2e.load import loading
from tests.e2e.proxies import ROOT, STRANGLER, Proxy, environment, running, until
from tests.e2e.test_flags import config, side, until_share

DEPLOYS, BETWEEN = 2, 200  # and native's answers between two of them


def test_a_worker_killed_between_its_verdict_and_the_trip_leaves_the_trip_to_the_others(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    failing = config(origin, flags_redis, {"app": "tests.e2e.sides:failing"})
    beyond = urlsplit(flags_redis).port
    assert beyond is not None
    with door(beyond, b'"trip":{') as between, running(tmp_path, failing) as other:
        behind = {**failing, "redis": f"redis://{LOOPBACK}:{between.port}/0"}
        with running(tmp_path, behind) as one:
            until(one, lambda: one.metric("strangler_native_ready") == 1)
            other.order("set", "things.list", "100%")
            until_share(one, "things.list", 10_000)
            other.service.pause()

            def judged() -> bool:
                assert side(one) == "legacy"  # in native's place
                return between.shut.is_set()

            until(one, judged)
            one.service.kill()
        other.service.resume()
        until(other, lambda: bool(other.route("things.list")["trip"]))
        assert "native failed" in other.route("things.list")["trip"]["reason"]


def test_native_is_deployed_under_load_and_nothing_trips_though_no_failure_is_allowed(
    tmp_path: Path, origin: str, flags_redis: str
) -> None:
    settings = config(origin, flags_redis, {"url": f"http://{LOOPBACK}:{free_port()}"})
    settings["rollback"] = {"judge": "threshold", "min_requests": 1, "max_error_rate": "0%", "max_excess": "0%"}
    path = tmp_path / "native.yaml"
    native = {**settings["native"], "app": "tests.e2e.sides:deployable"}
    path.write_text(yaml.safe_dump({**settings, "native": native}))
    with running(tmp_path, settings) as proxy:
        proxy.order("set", "things.list", "50%")
        with loading(proxy.service.port) as load:
            for _ in range(DEPLOYS):
                with deployed(path):
                    until_native_answers(proxy, BETWEEN)
        assert load.failures == {}
        assert load.answers.keys() == {200}
        assert proxy.route("things.list")["trip"] is None
        assert proxy.metric("strangler_requests_total", side="native", outcome="failed") == 0


def deployed(config: Path) -> Service:
    command = [*STRANGLER, "handlers", "--config", config]
    log = config.with_suffix(".log")
    return launch("native", command, port=0, log=log, environment=environment({}), directory=ROOT)


def until_native_answers(proxy: Proxy, more: int) -> None:
    def answered() -> float:
        return proxy.metric("strangler_answers_total", side="native", status="200")

    enough = answered() + more
    until(proxy, lambda: answered() >= enough)
