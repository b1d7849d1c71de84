"""Where a benchmark ran: the processor, the kernel, and the versions of everything that took part."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-bench" / "bin"

_TOLD_BY = {
    "nginx": ("nginx", "-v"),
    "haproxy": ("haproxy", "-v"),
    "wrk": ("wrk", "-v"),
    "redis": ("redis-server", "--version"),
}
_OURS = ("uvicorn", "httptools", "uvloop", "starlette", "websockets")
_PEERS = ("aiohttp", "fastapi-proxy-lib", "fastapi", "httpx", "uvicorn", "httptools", "uvloop")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core each part runs on: what is measured has the first for itself."""

    measured: int
    load: int
    origin: int


def cores() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("A benchmark needs two cores: one for what is measured, one for what loads it.")
    return Cores(usable[0], usable[1], usable[2] if len(usable) > 2 else usable[1])


def machine() -> dict[str, Any]:
    """The hardware and the system, for a result's head."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "commit": _commit(),
    }


def versions() -> dict[str, str]:
    """What ran, each by its own word; a peer that is not there is left out."""
    told = {name: said for name, command in _TOLD_BY.items() if (said := _first_line(*command))}
    ours = {f"strangler's {name}": version(name) for name in _OURS}
    return {"python": platform.python_version(), **told, **ours, **_peers()}


def _peers() -> dict[str, str]:
    code = f"from importlib.metadata import version\nfor name in {_PEERS}: print(name, version(name))"
    said = _output(str(PEERS / "python"), "-c", code)
    return {f"peers' {name}": number for name, _, number in (line.partition(" ") for line in said.splitlines())}


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    """The commit, with a plus if files differ from it."""
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD").strip()
    if not commit.isalnum():  # a copy without its history
        return "unknown"
    return commit + "+" * bool(_output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no").strip())


def _first_line(*command: str) -> str:
    return next((line.strip() for line in _output(*command).splitlines() if line.strip()), "")


def _output(*command: str) -> str:
    """What a command says, to either stream; nothing if it is not there."""
    try:
        ended = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False
        )
    except FileNotFoundError:
        return ""
    return ended.stdout
