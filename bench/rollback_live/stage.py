"""Rails, native and the proxy, each a process of its own, and what an operator does there."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.machine import ROOT
from bench.rollback_live.failing import SWITCH
from demo.service import LOOPBACK, Service, await_ready, free_port, launch
from demo.stack import Application, prepare_database, start_rails
from demo.stores import INHERITED, start_postgresql, start_redis

ROUTE, PATH = "conversations.list", "/api/v1/conversations"
WITHIN = 5.0  # seconds that any order may take
LOOK = 0.02  # seconds between two looks at the flag


@dataclass(frozen=True, slots=True)
class Stage:
    application: Application
    proxy: Service
    native: Service
    admin: str

    def ready(self, share: str) -> None:
        """Native does well, and answers this share of the users, of whom nothing is remembered."""
        self.fail(0)
        self._order("POST", f"/flags/{ROUTE}/reset", {})
        self._order("PATCH", f"/flags/{ROUTE}", {"share": share})

    def fail(self, part: float) -> None:
        httpx.put(self.native.url + SWITCH, content=f"{part}", timeout=WITHIN).raise_for_status()

    def tripped(self, patience: float) -> dict[str, Any]:
        """The trip, once it has come; that it has not is an error after so many seconds."""
        latest = time.monotonic() + patience
        with httpx.Client(base_url=self.admin, timeout=WITHIN) as client:
            while time.monotonic() < latest:
                told = client.get("/flags").raise_for_status().json()["routes"]
                trip: dict[str, Any] | None = next(route["trip"] for route in told if route["route"] == ROUTE)
                if trip is not None:
                    return trip
                time.sleep(LOOK)
        raise TimeoutError(f"no rollback within {patience:g} s")

    def _order(self, method: str, path: str, order: dict[str, str]) -> None:
        httpx.request(method, self.admin + path, json=order, timeout=WITHIN).raise_for_status()


@contextmanager
def staged() -> Iterator[Stage]:
    """Everything as by default, but that what native fails is not asked of legacy: users would see no failure."""
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="strangler-bench-")))
        postgres, redis = start_postgresql(directory), start_redis(directory)
        running.enter_context(postgres.service)
        running.enter_context(redis.service)
        application = Application(postgres.url(), redis.url(), seed_bcrypt_cost=4)
        prepare_database(directory, application)
        rails = running.enter_context(start_rails(directory, application))
        public, admin, port = free_port(), free_port(), free_port()
        config = {
            "listen": f"{LOOPBACK}:{public}",
            "admin": {"listen": f"{LOOPBACK}:{admin}"},
            "legacy": {"url": rails.url},
            "native": {"url": f"http://{LOOPBACK}:{port}", "fallbacks": "0%"},
            "redis": redis.url(1),  # its own logical database: Rails uses the first
            "routes": [{"name": ROUTE, "match": f"GET {PATH}"}],
        }
        (directory / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
        native = _start("native", ["uvicorn", "bench.rollback_live.failing:app", "--port", f"{port}"], port, directory, application)  # fmt: skip  # noqa: E501  # one call
        running.enter_context(native)
        await_ready(native, lambda: _answers(native.url + SWITCH))
        serve = ["proxy.cli", "serve", "--config", str(directory / "config.yaml")]
        proxy = running.enter_context(_start("serve", serve, public, directory, application))
        await_ready(proxy, lambda: _answers(f"http://{LOOPBACK}:{admin}/readyz"))
        yield Stage(application, proxy, native, f"http://{LOOPBACK}:{admin}")


def _start(name: str, module: list[str], port: int, directory: Path, application: Application) -> Service:
    return launch(
        name,
        [sys.executable, "-m", *module],
        port=port,
        log=directory / f"{name}.log",
        environment=INHERITED | application.environment() | {"PYTHONPATH": str(ROOT)},
        directory=ROOT,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.TransportError:
        return False
