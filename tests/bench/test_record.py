from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.record import keep


def test_figures_are_kept_with_where_and_when_they_were_measured(tmp_path: Path) -> None:
    path = keep("memory", {"targets": {}}, directory=tmp_path)
    kept = json.loads(path.read_text())
    assert path.name == "memory.json"
    assert list(kept) == ["benchmark", "date", "machine", "versions", "targets"]
    assert {"cpu", "cores", "kernel", "commit"} <= kept["machine"].keys()
    assert "python" in kept["versions"]


def test_what_is_no_number_is_not_kept_as_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nan"):
        keep("memory", {"figure": float("nan")}, directory=tmp_path)
