"""The figures of a benchmark, kept as JSON in `bench/results`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import ROOT, machine, versions

RESULTS = ROOT / "bench" / "results"


def keep(name: str, figures: Mapping[str, Any], *, directory: Path = RESULTS) -> Path:
    """Write a benchmark's figures under what they depend on: when, where and with which versions it ran."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {"benchmark": name, "date": now, "machine": machine(), "versions": versions(), **figures}
    path.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n")
    return path
