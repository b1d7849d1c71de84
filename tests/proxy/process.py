"""What metrics tell of the process: figures that are others at each look, so that counts are compared without them."""

from __future__ import annotations

PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}


def without_process(exposition: bytes) -> list[str]:
    """All other lines."""
    return [line for line in exposition.decode().split("\n") if PROCESS.isdisjoint(line.split(" ")[:3])]
