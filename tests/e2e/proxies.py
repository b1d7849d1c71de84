"""The proxy as operators have it: `strangler serve` as a process of its own, commanded from another one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.service import LOOPBACK, Service, await_ready, free_port, launch
from proxy.cli import main

ROOT = Path(__file__).parent.parent.parent
# What is given up here hangs: this machine may be busy. A test of giving up says how soon.
PATIENT = {"legacy": {"connect": "30s", "wait": "30s"}, "native": {"connect": "30s", "wait": "30s", "budget": "30s"}}
STRANGLER: list[str | Path] = [sys.executable, "-m", "proxy.cli"]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours, with which coverage is measured in every process, without what would configure a strangler."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("STRANGLER_")}
    return {**ours, **more}


@dataclass(frozen=True, slots=True)
class Told:
    """What a command said, and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def strangler(*arguments: str | Path) -> Told:
    """A command, given in this process, which is another one than the proxy's."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # how argparse ends with bad usage, or after help
            code = int(ended.code or 0)
    return Told(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running `strangler serve`, with a client for each of its ports."""

    service: Service
    config: Path
    users: httpx.Client
    admin: httpx.Client

    @property
    def url(self) -> str:
        return self.service.url

    def strangler(self, command: str, *arguments: str) -> Told:
        """A command given to this proxy, by somebody with its configuration."""
        return strangler(command, "--config", self.config, *arguments)

    def order(self, command: str, *arguments: str) -> Told:
        """A command that must succeed."""
        told = self.strangler(command, *arguments)
        assert told.code == 0, told.err
        return told

    def route(self, name: str) -> dict[str, Any]:
        """What the proxy goes by for one route."""
        flags = self.admin.get("/flags").json()
        found: dict[str, Any] = next(route for route in flags["routes"] if route["route"] == name)
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.admin.get("/metrics").text.splitlines()
        series = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in series if all(label in line for label in wanted))

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.service.log.read_text().splitlines()]


@contextmanager
def running(
    directory: Path, config: Mapping[str, Any], more: Mapping[str, str] | None = None, workers: int = 1
) -> Iterator[Proxy]:
    """A proxy with this configuration, on ports of its own. Nobody is held back, unless it says so."""
    port, admin = free_port(), free_port()
    path = directory / f"proxy-{port}.yaml"
    listening = {"listen": f"{LOOPBACK}:{port}", "admin": {"listen": f"{LOOPBACK}:{admin}", **config.get("admin", {})}}
    path.write_text(yaml.safe_dump({"holdback": 0, **patient(config), **listening}))
    with serving(path, port, admin, more, workers) as proxy:
        yield proxy


def patient(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with patience wherever it says nothing of it, and shadow work that yields to nothing."""
    sides = {side: {**knobs, **config[side]} for side, knobs in PATIENT.items() if side in config}
    shadow = {"yields": False, "deadline": "30s", **config.get("shadow", {})}
    return {"watchdog": "30s", **config, **sides, "shadow": shadow}


@contextmanager
def serving(
    path: Path, port: int, admin: int | None, more: Mapping[str, str] | None = None, workers: int = 1
) -> Iterator[Proxy]:
    """A proxy with the configuration in a file, which names these ports."""
    command = [*STRANGLER, "serve", "--config", path, "--workers", str(workers)]
    log, variables = path.with_suffix(".log"), environment(more or {})
    service = launch("strangler", command, port=port, log=log, environment=variables, directory=ROOT)
    users = httpx.Client(base_url=service.url, timeout=30)
    operators = httpx.Client(base_url=f"http://{LOOPBACK}:{admin}", timeout=30)
    with service, users, operators:
        proxy = Proxy(service, path, users, operators)
        until(proxy, lambda: _is_ready(proxy))
        yield proxy


def until(proxy: Proxy, condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fails, with the proxy's last words, if it does not come about."""
    await_ready(proxy.service, condition, within=60)


def _is_ready(proxy: Proxy) -> bool:
    try:
        return proxy.admin.get("/readyz").is_success
    except httpx.TransportError:
        return False
