"""Measure both sides, route by route: `python -m bench.native [--rounds 3] [--seconds 2] [--processes 2]`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench import record
from bench.native import grown, runs, summary
from bench.native.stage import Stage, sizes, staged
from handlers import conversations, cursors
from handlers.ids import LARGEST_ID


def main() -> None:
    parser = argparse.ArgumentParser("bench.native", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of each run")
    parser.add_argument("--processes", type=int, default=2, help="of each side")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--messages", type=int, default=grown.MESSAGES, help="rows in the grown table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strangler-bench-") as temporary:
        directory = Path(temporary)
        with staged(directory, options.processes, options.messages) as stage:
            plans = planned(stage)
            ran = runs.measured(stage, options, directory)
            told = sizes(stage)
    figures = summary.by_route(ran)
    targets = summary.targets(figures, plans)
    kept = record.keep(
        "native",
        {
            **told,
            "connections": options.connections,
            "targets": targets,
            "medians": figures,
            "Rails' list as it always was, of native's": summary.lazily(figures),
            "plans": plans,
            "runs": ran,
        },
    )
    print(f"medians of {options.rounds} runs of {options.seconds} s, {options.connections} connections, {told}")
    print(f"{summary.routes_table(figures)}\n\n{summary.targets_table(targets)}\n\nKept in {kept}")


def planned(stage: Stage) -> dict[str, dict[str, Any]]:
    """The list's plan over both sizes of tables."""
    endless = {"at": cursors.at(cursors.LAST_MICROSECOND), "id": LARGEST_ID, "rows": 26, "account_id": 1}
    urls = {"seeds": stage.small.database_url, "grown": stage.application.database_url}
    return {name: grown.plan(url, conversations.LIST.sql, endless) for name, url in urls.items()}


if __name__ == "__main__":
    main()
