"""What may stand behind a command, where no command shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.arguments import text
from tests.e2e.proxies import strangler


def test_words_that_are_no_utf_8_are_shown_as_such() -> None:
    assert text(os.fsdecode(b"St\xf6rung, again")) == "St\ufffdrung, again"
    assert text("Störung") == "Störung"


def test_an_order_does_not_fail_for_the_words_that_go_with_it(tmp_path: Path) -> None:
    told = strangler("rollback", "--all", "--state", tmp_path, "--why", os.fsdecode(b"St\xf6rung"))
    assert (told.code, told.err) == (0, "")
    assert "St\\ufffdrung" in (tmp_path / "_every.trip").read_text()


def test_a_token_that_no_header_can_carry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANGLER_TOKEN", "gehör")
    told = strangler("rollback", "--all", "--admin", "127.0.0.1:1")
    assert told.code == 1
    assert "nothing changed: the token has characters that no token has (STRANGLER_TOKEN)" in told.err
