"""The whole site: the stack, native in a process of its own, and the proxy ahead of both sides."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import httpx

from demo.native import SWITCH
from demo.service import LOG_TAIL, LOOPBACK, Service, ServiceError, await_ready, free_port, launch
from demo.stack import INHERITED, Stack, running_stack

ROOT = Path(__file__).parent.parent
STRANGLER = Path(sys.executable).with_name("strangler")
MOVED = ("conversations.list", "conversations.show", "messages.list", "messages.create")
READS = MOVED[:3]

CONFIG = Template("""\
listen: $listen
admin:
  listen: $admin
legacy:
  url: $legacy
native:
  app: demo.native:app
  url: $native
redis: $redis
shadow:   # all of this shares one machine: what is compared may wait, and must not crowd out users
  concurrency: 4
  deadline: 20s
rollback:   # small because the story is short; for real traffic rather 30s and 50
  window: 20s
  min_requests: 20
  max_error_rate: 5%
  max_excess: 2%
routes:
  - {name: auth.login, match: POST /auth/login}
  - {name: conversations.list, match: GET /api/v1/conversations}
  - {name: conversations.show, match: "GET /api/v1/conversations/{id}"}
  - {name: messages.list, match: "GET /api/v1/conversations/{id}/messages"}
  - {name: messages.create, match: POST /api/v1/messages}
""")


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything is; `directory` holds config.yaml, so that `strangler …` works there without an option."""

    directory: Path
    stack: Stack
    native: Service
    proxy: Service
    admin_url: str

    @property
    def services(self) -> tuple[Service, ...]:
        stack = self.stack
        return (
            stack.postgres.service,
            stack.redis.service,
            stack.graph.service,
            stack.rails,
            stack.sidekiq,
            self.native,
            self.proxy,
        )

    def check(self) -> None:
        """Raise for a service that has ended."""
        for service in self.services:
            if not service.running:
                code = service.process.returncode
                log = service.log.read_text(errors="replace")[-LOG_TAIL:]
                raise ServiceError(f"{service.name} ended with status {code}; the end of its log:\n{log}")


@contextlib.contextmanager
def running_site() -> Iterator[Site]:
    """All of it, for as long as the block runs; nothing is left afterwards."""
    with running_stack() as stack, contextlib.ExitStack() as services:
        directory = stack.directory / "site"
        directory.mkdir()
        config, public, admin, native_port = directory / "config.yaml", free_port(), free_port(), free_port()
        admin_url = f"http://{LOOPBACK}:{admin}"
        config.write_text(
            CONFIG.substitute(
                listen=f"{LOOPBACK}:{public}",
                admin=f"{LOOPBACK}:{admin}",
                legacy=stack.rails.url,
                native=f"http://{LOOPBACK}:{native_port}",
                redis=stack.redis.url(1),  # its own logical database: Rails uses the first
            )
        )
        native = services.enter_context(_start(stack, "handlers", config, native_port))
        await_ready(native, lambda: _answers(native.url + SWITCH))
        proxy = services.enter_context(_start(stack, "serve", config, public))
        await_ready(proxy, lambda: _answers(f"{admin_url}/readyz"))
        yield Site(directory, stack, native, proxy, admin_url)


def _start(stack: Stack, command: str, config: Path, port: int) -> Service:
    return launch(
        {"handlers": "native", "serve": "proxy"}[command],
        [STRANGLER, command, "--config", config],
        port=port,
        log=stack.directory / f"{command}.log",
        environment=INHERITED | stack.application.environment(),
        directory=ROOT,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
