"""No controller of the API reaches a row but through the caller's account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent.parent / "legacy" / "app"
MODELS = "|".join(
    re.sub(r"(?:^|_)([a-z])", lambda letter: letter[1].upper(), path.stem) for path in (APP / "models").glob("*.rb")
)
# A model that is asked for rows itself, instead of being handed to `in_account` or `find_in_account`.
ASKED = re.compile(rf"\b(?:{MODELS})\.[a-z_]+")
CONTROLLERS = sorted((APP / "controllers" / "api").rglob("*_controller.rb"))


def code(path: Path) -> str:
    return "\n".join(line.partition(" #")[0] for line in path.read_text(encoding="utf-8").splitlines())


def test_the_rule_would_see_a_breach() -> None:
    assert ASKED.findall("user = User.find(params[:id])\nConversation.where(id: 1)") == [
        "User.find",
        "Conversation.where",
    ]
    assert ASKED.search("find_in_account(User, params[:id]) && UserSerializer.new(user)") is None


@pytest.mark.parametrize("path", CONTROLLERS, ids=lambda path: path.stem)
def test_a_controller_asks_for_rows_only_within_the_callers_account(path: Path) -> None:
    assert ASKED.findall(code(path)) == []
    assert "< AuthenticatedController" in code(path)
