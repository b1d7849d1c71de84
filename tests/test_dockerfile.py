"""The image without an engine to build it: its sources are there, and its own commands install what then runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from demo.service import LOOPBACK, await_ready, free_port, launch

ROOT = Path(__file__).parent.parent
# An interpreter that everybody may run; the one of these tests may live in somebody's home.
PYTHON = shutil.which("python3.11", path="/usr/local/bin:/usr/bin") or sys.executable
NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with what follows it, continued lines joined."""
    text = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text())
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def found(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def sources() -> list[str]:
    """What is copied from the work tree."""
    return [source for copied in found("COPY") if "--from" not in copied for source in copied.split()[:-1]]


def test_everything_that_is_copied_exists_and_is_sent_to_the_engine() -> None:
    assert {"proxy", "flags", "shadow", "handlers", "config.yaml", "requirements.lock"} <= set(sources())
    assert [source for source in sources() if not (ROOT / source).exists()] == []
    ignored, *admitted = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in "#"]
    assert ignored == "*"
    assert {line.removeprefix("!") for line in admitted if line.startswith("!")} == set(sources())
    assert not any(fnmatch(source, line) for line in admitted if line.startswith("**/") for source in sources())


def test_it_serves_as_nobody_in_particular() -> None:
    assert int(found("USER")[-1]) > 0
    assert (json.loads(found("ENTRYPOINT")[-1]), json.loads(found("CMD")[-1])) == (["strangler"], ["serve"])
    assert found("EXPOSE") == ["8080 9901"]
    order = [name for name, _ in instructions()]
    assert "RUN" not in order[order.index("USER") :]


def test_only_what_serves_is_locked_for_it() -> None:
    names = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert {"uvicorn", "httptools", "redis", "psycopg-binary"} <= set(names)
    assert {"pytest", "mypy", "ruff", "coverage", "setuptools", "hypothesis"} & set(names) == set()


@pytest.fixture
def image() -> Iterator[Path]:
    """In the place of the image's root. Not pytest's own folder, which nobody else may enter."""
    with tempfile.TemporaryDirectory(prefix="strangler-image-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.mark.soak  # it downloads every package again
@pytest.mark.timeout(600)
def test_its_own_commands_make_an_installation_that_checks_and_serves_without_rights(image: Path) -> None:
    build = image / "build"
    build.mkdir()
    for source in sources():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, build / source)
    for command in found("RUN")[:-1]:
        for place in ("/venv", "/tools", "/wheels"):
            command = re.sub(rf"(?<![\w.]){place}\b", f"{image}{place}", command)
        python = re.sub(r"(^|&& )python ", rf"\1{shlex.quote(PYTHON)} ", command)
        subprocess.run(["sh", "-euc", python], cwd=build, check=True, capture_output=True)

    port, admin = free_port(), free_port()
    app = image / "app"
    app.mkdir()
    shutil.copy(ROOT / "config.yaml", app)
    environment = {
        "PATH": f"{image}/venv/bin:/usr/bin:/bin",
        "STRANGLER_LISTEN": f"{LOOPBACK}:{port}",
        "STRANGLER_ADMIN_LISTEN": f"{LOOPBACK}:{admin}",
    }
    become = NOBODY if os.geteuid() == 0 else []
    run = [*become, "strangler"]
    subprocess.run([*run, "check"], cwd=app, env=environment, check=True, capture_output=True)
    probe = [*become, *json.loads(found("HEALTHCHECK")[0].partition("CMD ")[2])]

    def healthy() -> bool:
        return subprocess.run(probe, env=environment, capture_output=True, check=False).returncode == 0

    assert not healthy()
    with launch(
        "strangler", [*run, "serve"], port=port, log=image / "log", environment=environment, directory=app
    ) as service:
        await_ready(service, healthy)
