"""The whole site: the stack, native in a process of its own, and the proxy ahead of both sides."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import httpx
import yaml

from demo.mortal import Mortal
from demo.native import SWITCH
from demo.service import LOG_TAIL, LOOPBACK, Service, ServiceError, await_ready, free_port, launch
from demo.stack import INHERITED, Stack, running_stack
from demo.unleash import ADMIN_TOKEN, CLIENT_TOKEN, start_unleash

ROOT = Path(__file__).parent.parent
STRANGLER = Path(sys.executable).with_name("strangler")
MOVED = ("conversations.list", "conversations.show", "messages.list", "messages.create")
READS = MOVED[:3]
# All of this shares one machine, on which the 40 ms that a read otherwise waits say nothing of Redis; and while a side
# takes it for gone, what others read may be up to a second old (docs/api.md).
PATIENT = {"CACHE_WAIT": "2"}

CONFIG = Template("""\
listen: $listen
admin:
  listen: $admin
legacy:   # all of this shares one machine: whoever is slow on it is not gone
  url: $legacy
  connect: 20s
  wait: 20s
  first_byte: 55s   # users themselves wait for a minute
native:
  app: demo.native:app
  url: $native
  connect: 20s
  wait: 20s
  budget: 20s
redis: $redis
trips:
  redis: $cache
  key: cache:epoch:native
holdback: 0   # the story ends with everybody on native; 2 % of twenty users are nobody anyway
shadow:   # for the same reason what is compared may wait, and must not crowd out users
  concurrency: 4
  deadline: 20s
rollback:   # small because the story is short; for real traffic rather 30s and 50
  judge: threshold   # twenty users, each counted once, would prove too little
  window: 20s
  min_requests: 20
  max_error_rate: 5%
  max_excess: 2%
routes:
""")


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything is; `directory` holds config.yaml, so that `strangler …` works there without an option."""

    directory: Path
    stack: Stack
    native: Mortal
    proxy: Service
    admin_url: str
    unleash: Service | None = None

    @property
    def services(self) -> tuple[Service, ...]:
        """All that should be running now."""
        stack = self.stack
        sides = [side.service for side in (stack.rails, self.native) if side.alive]
        shares = [] if self.unleash is None else [self.unleash]
        always = stack.postgres.service, stack.redis.service, stack.graph.service, stack.sidekiq, self.proxy
        return *always, *sides, *shares

    @property
    def routes(self) -> tuple[str, ...]:
        return tuple(route["name"] for route in _configured())

    @property
    def deaths(self) -> int:
        """How often a side was killed."""
        return self.stack.rails.deaths + self.native.deaths

    def check(self) -> None:
        """Raise for a service that has ended."""
        for service in self.services:
            if not service.running:
                code = service.process.returncode
                log = service.log.read_text(errors="replace")[-LOG_TAIL:]
                raise ServiceError(f"{service.name} ended with status {code}; the end of its log:\n{log}")


@contextlib.contextmanager
def running_site(*, unleash: bool = False) -> Iterator[Site]:
    """All of it, for as long as the block runs; nothing is left afterwards. `unleash`: shares are moved there."""
    with running_stack(extra=PATIENT) as stack, contextlib.ExitStack() as services:
        directory = stack.directory / "site"
        directory.mkdir()
        config, public, admin, native_port = directory / "config.yaml", free_port(), free_port(), free_port()
        admin_url = f"http://{LOOPBACK}:{admin}"
        source = services.enter_context(start_unleash(stack.directory, stack.postgres)) if unleash else None
        config.write_text(
            CONFIG.substitute(
                listen=f"{LOOPBACK}:{public}",
                admin=f"{LOOPBACK}:{admin}",
                legacy=stack.rails.service.url,
                native=f"http://{LOOPBACK}:{native_port}",
                redis=stack.redis.url(1),  # its own logical database: Rails uses the first
                cache=stack.application.redis_url,
            )
            + _routes()
            + (_followed(source, directory) if source is not None else "")
        )

        def start_native() -> Service:
            native = _start(stack, "handlers", config, native_port)
            await_ready(native, lambda: _answers(native.url + SWITCH))
            return native

        native = services.enter_context(Mortal(start_native))
        proxy = services.enter_context(_start(stack, "serve", config, public))
        await_ready(proxy, lambda: _answers(f"{admin_url}/readyz"))
        yield Site(directory, stack, native, proxy, admin_url, source)


def _routes() -> str:
    return "".join(f"  - {json.dumps(route)}\n" for route in _configured())  # JSON is YAML


def _configured() -> list[dict[str, Any]]:
    """Those that the project's own configuration names."""
    routes: list[dict[str, Any]] = yaml.safe_load((ROOT / "config.yaml").read_text())["routes"]
    return routes


def _followed(unleash: Service, directory: Path) -> str:
    """Where shares are taken from, and told of trips."""
    told = {"url": unleash.url, "token": CLIENT_TOKEN, "admin_token": ADMIN_TOKEN}
    return yaml.safe_dump({"unleash": told | {"backup": str(directory / "unleash.json")}})


def _start(stack: Stack, command: str, config: Path, port: int) -> Service:
    return launch(
        {"handlers": "native", "serve": "proxy"}[command],
        [STRANGLER, command, "--config", config],
        port=port,
        log=stack.directory / f"{command}.log",
        environment=INHERITED | stack.application.environment() | PATIENT,
        directory=ROOT,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
