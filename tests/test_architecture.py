"""What holds for the whole tree and no linter says."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy", "flags", "shadow", "handlers")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Who may start tasks: each of them holds, awaits and cancels what it starts. A TaskGroup needs no place here.
OWNERS = {
    "proxy/tasks.py",
    "proxy/processes.py",
    "shadow/ask.py",
    "shadow/pairs.py",
    "shadow/runner.py",
    "handlers/finishing.py",
    "handlers/line.py",
    "handlers/outbox.py",
}


NETWORKS = {
    *["aiohttp", "aiosmtplib", "ftplib", "http.client", "httpx", "requests", "smtplib", "socket", "subprocess"],
    *["urllib.request", "urllib3", "websockets"],
}


# Where the native application makes its connections, and where it is decided whose a request is given.
GIVERS = {
    "handlers/app.py",
    "handlers/connections.py",
    "handlers/deadline.py",
    "handlers/line.py",
    "handlers/resources.py",
    "handlers/settings.py",
    "handlers/shadow.py",
}
MADE_OR_GIVEN = re.compile(r"state\.(resources|shadows)\b|psycopg_pool|\.connect\(|\.from_url\(|\bRedis\(|os\.environ")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _calls(tree: ast.AST, method: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            yield node


def _groups(tree: ast.AST) -> set[str]:
    """The names that `async with asyncio.TaskGroup() as name` binds."""
    items = [item for node in ast.walk(tree) if isinstance(node, ast.AsyncWith) for item in node.items]
    return {
        item.optional_vars.id
        for item in items
        if isinstance(item.optional_vars, ast.Name) and "TaskGroup" in ast.unparse(item.context_expr)
    }


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_task_has_an_owner(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    groups = _groups(tree)
    strays = [call.lineno for call in _calls(tree, "create_task") if ast.unparse(call.func).split(".")[0] not in groups]
    assert not strays or _name(path) in OWNERS, f"{_name(path)} starts tasks at lines {strays}: use proxy.tasks.Tasks"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_and_functions_stay_short_enough_to_read(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 250, f"{_name(path)} is too long: it wants a second noun"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno
            assert length <= 60, f"{_name(path)}: {node.name} has {length} lines: it wants a second noun"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{_name(path)} has no docstring"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name == "handlers"], ids=_name)
def test_a_handler_reaches_outside_by_what_it_is_given_alone(path: Path) -> None:
    """A shadow is given what lets it do nothing but read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    named = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    assert not named & NETWORKS, f"{_name(path)} has a way outside of its own: let `resources` hold it"
    written = MADE_OR_GIVEN.search(ast.unparse(tree))
    assert not written or _name(path) in GIVERS, f"{_name(path)}: {written}: it may be users', so ask `resources.of`"


def test_the_router_fits_on_a_few_screens() -> None:
    assert (ROOT / "proxy/router.py").read_text(encoding="utf-8").count("\n") <= 190


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["dev"], *groups["node"], *groups["bench"]]
    documented = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    names = [re.split(r"[\[<>=~ ]", name)[0] for name in wanted]
    assert [name for name in names if f"| {name} |" not in documented] == []


def test_links_between_documents_lead_somewhere() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split():
        page = ROOT / name
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{name} links to {target}, which is not there"
