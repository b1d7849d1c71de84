"""What users ask in turn: proxies whose candidates do well or badly, one that shadows nothing, and those that join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import servers
from bench.machine import Cores
from bench.patterns import routes
from bench.processes import pinned
from demo.service import LOOPBACK, Service, free_port

OFF, NATIVE = "off", "native"
BAD = ("hangs", "crashes", "pours", "pours untold")
CASES = {OFF: NATIVE, "on": NATIVE, **{case: case for case in BAD}}  # what plays native
JOINED = {"joined": NATIVE, "joined, slow": "slow", "joined, hangs": "hangs"}
DEADLINE = "1s"


@dataclass(frozen=True, slots=True)
class Stage:
    ours: Mapping[str, servers.Ours]
    joined: Mapping[str, Service]

    @property
    def ports(self) -> dict[str, int]:
        """Where users ask, by case."""
        own = {case: ours.service.port for case, ours in self.ours.items()}
        return {**own, **{case: service.port for case, service in self.joined.items()}}

    @property
    def pids(self) -> dict[str, int]:
        own = {case: ours.service.process.pid for case, ours in self.ours.items()}
        return {**own, **{case: service.process.pid for case, service in self.joined.items()}}

    def told(self) -> dict[str, dict[str, float]]:
        """What the proxies say of what they have compared, by case."""
        return {
            case: {
                f"{metric}{labels}": value
                for metric in ("comparisons_total", "shadow_drops_total", "shadow_factor")
                for labels, value in ours.counted(f"strangler_{metric}").items()
                if value
            }
            for case, ours in self.ours.items()
        }


@contextmanager
def staged(where: Cores, directory: Path, *, yields: bool = True) -> Iterator[Stage]:
    with ExitStack() as running:

        def side(name: str) -> int:
            port = free_port()
            command: list[str | Path] = [servers.PYTHON, "-m", "bench.shadow.side", str(port), name]
            service = pinned(name, command, cores=[where.origin], port=port, directory=directory)
            running.enter_context(servers.listening(service))
            return port

        legacy = side("legacy")
        native = {name: side(name) for name in dict.fromkeys([*CASES.values(), *JOINED.values()])}
        ours = {}
        for case, name in CASES.items():
            config = _config(legacy, native[name], "0%" if case == OFF else "100%", yields)
            ours[case] = servers.strangler(case, config, cores=[where.measured], directory=directory)
            running.enter_context(ours[case].service)
        joined = {}
        for case, name in JOINED.items():
            port = free_port()
            ports = (str(each) for each in (port, legacy, native[name]))
            command: list[str | Path] = [servers.PYTHON, "-m", "bench.shadow.joined", *ports]
            service = pinned("joined", command, cores=[where.measured], port=port, directory=directory)
            joined[case] = running.enter_context(servers.listening(service))
        yield Stage(ours, joined)


def _config(legacy: int, native: int, shadow: str, yields: bool) -> dict[str, Any]:
    return {
        "legacy": {"url": f"http://{LOOPBACK}:{legacy}"},
        "native": {"url": f"http://{LOOPBACK}:{native}"},
        "log": {"access": False},
        "shadow": {"deadline": DEADLINE, "yields": yields},
        "routes": [{**route, "shadow": shadow} if route["match"].startswith("GET ") else route for route in routes(10)],
    }
