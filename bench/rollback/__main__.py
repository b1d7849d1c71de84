"""Simulate every cell, in some twenty minutes: `python -m bench.rollback [--runs 2000] [--only TEXT] [--quick]`."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor

from bench import record
from bench.rollback import summary
from bench.rollback.cells import ALPHA, CEILING, CELLS, DEFECTS, FEW, HOUR, SHARED, Cell, simulate
from bench.rollback.traffic import BASELINE

SEED = 20_261_122
CLOSE = 5  # times as many runs of the cells that lie near what is allowed: where a p95 is wanted, and shared outages

CLOSEST = [*DEFECTS[:4], *SHARED, *(cell for cell in FEW if cell.scenario.seconds < HOUR)]


def main() -> None:
    parser = argparse.ArgumentParser("bench.rollback", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=2000, help="of each cell; five times as many of those near their target"
    )
    parser.add_argument("--only", default="", help="the cells whose name holds this; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="a hundred runs of what takes no day; nothing is kept")
    options = parser.parse_args()
    cells = [
        cell for cell in CELLS if options.only in cell.name and (cell.scenario.seconds < 7200 or not options.quick)
    ]
    told = simulated(cells, 100 if options.quick else options.runs)
    targets = summary.targets(told)
    print(f"{summary.cells_table(told)}\n\n{summary.targets_table(targets)}")
    if not options.only and not options.quick:
        settings = {"ceiling": CEILING, "alpha": ALPHA, "baseline": BASELINE, "seed": SEED}
        print(f"\nKept in {record.keep('rollback', {**settings, 'targets': targets, 'cells': told})}")


def simulated(cells: list[Cell], runs: int) -> dict[str, dict[str, summary.Figures]]:
    """Every cell, the longest first, so that no core is left alone with one at the end."""
    order = sorted(cells, key=lambda cell: -cell.scenario.seconds)
    with ProcessPoolExecutor(2) as pool:
        wanted = [runs * CLOSE if cell in CLOSEST else runs for cell in order]
        found = dict(zip([cell.name for cell in order], pool.map(_figures, order, wanted), strict=True))
    return {cell.name: found[cell.name] for cell in cells}


def _figures(cell: Cell, runs: int) -> dict[str, summary.Figures]:
    seed = SEED + CELLS.index(cell)
    return {rule: summary.figures(cell, own) for rule, own in simulate(cell, runs, seed).items()}


if __name__ == "__main__":
    main()
