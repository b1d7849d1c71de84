"""Print where the time of a request goes: `python -m bench.profile [--native] [--seconds N]`.

`--native`: every route is native's by URL, so the tables show the ASGI way.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from bench import load, servers
from bench.machine import PEERS, Cores, cores
from bench.patterns import PATH
from bench.processes import cpu_seconds
from bench.profile import stacks
from demo.service import Service

CONNECTIONS = 32
HERTZ = 250
LEAST = 0.01


def main() -> None:
    parser = argparse.ArgumentParser("bench.profile", description=__doc__)
    parser.add_argument("--native", action="store_true", help="the ASGI way")
    parser.add_argument("--seconds", type=int, default=8)
    options = parser.parse_args()
    where = cores()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with servers.nginx_origin(where.origin, directory) as origin:
            config = servers.configured(origin.port, native=options.native)
            with servers.strangler("strangler", config, cores=[where.measured], directory=directory).service as ours:
                cpu = _cost(ours, where)
                sampled = _sampled(ours, where, options.seconds, directory / "stacks")
    total = sum(stack.samples for stack in sampled)
    print(f"{cpu:.1f} µs of processor time a request, {CONNECTIONS} connections, {total} samples\n")
    print(stacks.markdown("file of the innermost Python frame", stacks.by_file(sampled), total, cpu, LEAST), "\n")
    print(stacks.markdown("line of the innermost Python frame", stacks.by_line(sampled), total, cpu, LEAST), "\n")
    print(stacks.markdown("function, with all that it calls", stacks.by_function(sampled), total, cpu, LEAST))


def _wrk(ours: Service, where: Cores, seconds: int) -> list[str]:
    return load.command(ours.url + PATH, connections=CONNECTIONS, seconds=seconds, core=where.load, headers={})


def _cost(ours: Service, where: Cores) -> float:
    """Microseconds of processor time a request, with nobody sampling."""
    load.load(_wrk(ours, where, 1), 1)
    before = cpu_seconds(ours.process.pid)
    ran = load.load(_wrk(ours, where, 3), 3)
    return (cpu_seconds(ours.process.pid) - before) / ran.requests * 1e6


def _sampled(ours: Service, where: Cores, seconds: int, path: Path) -> list[stacks.Stack]:
    with subprocess.Popen(_wrk(ours, where, seconds + 2), stdout=subprocess.DEVNULL) as wrk:
        spy: list[str | Path] = [
            "taskset",
            "--cpu-list",
            str(where.load),
            PEERS / "py-spy",
            "record",
            "--pid",
            str(ours.process.pid),
        ]
        spy += ["--duration", str(seconds), "--rate", str(HERTZ), "--format", "raw", "--output", path]
        subprocess.run(spy, check=True, capture_output=True)
        wrk.terminate()
    return stacks.parsed(path.read_text())


if __name__ == "__main__":
    main()
