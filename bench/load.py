"""wrk against one address: how many requests, how long they took, what failed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPORT = Path(__file__).parent / "report.lua"


@dataclass(frozen=True, slots=True)
class Load:
    """One run as wrk tells it; latencies in milliseconds."""

    seconds: float
    requests: int
    p50: float
    p90: float
    p99: float
    slowest: float
    refused: int  # connections that could not be opened
    broken: int  # connections that were lost, reading or writing
    late: int  # requests unanswered for longer than wrk waits
    wrong: int  # answers of a status of 400 and above

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def errors(self) -> int:
        return self.refused + self.broken + self.late + self.wrong


def command(url: str, *, connections: int, seconds: float, core: int, headers: Mapping[str, str]) -> list[str]:
    wrk = ["taskset", "--cpu-list", str(core), "wrk", "--threads", "1", "--connections", str(connections)]
    wrk += ["--duration", f"{seconds:g}s", "--timeout", "10s", "--script", str(REPORT)]
    for name, value in headers.items():
        wrk += ["--header", f"{name}: {value}"]
    return [*wrk, url]


def load(wrk: list[str], seconds: float) -> Load:
    """Run wrk to its end."""
    ended = subprocess.run(wrk, capture_output=True, text=True, timeout=seconds + 30, check=True)
    return parsed(ended.stdout)


def parsed(said: str) -> Load:
    """The last line of what wrk said: `report.lua`'s."""
    told = json.loads(said.strip().splitlines()[-1])
    return Load(**{**told, "requests": int(told["requests"])})
