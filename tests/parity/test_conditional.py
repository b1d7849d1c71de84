from __future__ import annotations

import pytest

from tests.parity.sides import LEGACY, Case, Sides
from tests.parity.stage import AWKWARD

# If-None-Match, by the tag of the answer itself: name, status, header.
CONDITIONS = [
    ("the same tag", 304, "{tag}"),
    ("the same tag, strong", 200, "{strong}"),
    ("the same tag among others", 200, '"other", {tag}'),
    ("the same tag, and white space", 304, "{tag} \t"),
    ("anything", 200, "*"),
    ("another tag", 200, 'W/"00000000000000000000000000000000"'),
    ("no tag", 200, ""),
]
LIST = "/api/v1/conversations?limit=2"
SHOW = f"/api/v1/conversations/{AWKWARD}"


@pytest.mark.parametrize(("name", "status", "condition"), CONDITIONS, ids=[name for name, *_ in CONDITIONS])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", [LIST, SHOW, f"{SHOW}/messages"])
def test_a_conditional_request_is_answered_alike(
    sides: Sides, target: str, method: str, name: str, status: int, condition: str
) -> None:
    tag = sides.ask(LEGACY, Case("unconditional", 200, target)).headers["etag"]
    header = condition.format(tag=tag, strong=tag.removeprefix("W/"))
    sides.compare(Case(name, status, target, method, headers=(("If-None-Match", header),)))


def test_a_condition_that_is_repeated_is_a_list(sides: Sides) -> None:
    tag = sides.ask(LEGACY, Case("unconditional", 200, SHOW)).headers["etag"]
    sides.compare(Case("twice", 200, SHOW, headers=(("If-None-Match", tag), ("If-None-Match", tag))))


@pytest.mark.parametrize("target", [LIST, SHOW, f"{SHOW}/messages"])
def test_the_tag_is_that_of_the_body(sides: Sides, target: str) -> None:
    for reply in sides.both(Case("tagged", 200, target)):
        assert reply.headers["etag"] == reply.tag_of_body
        assert reply.headers["cache-control"] == "max-age=0, private, must-revalidate"


def test_a_failure_and_an_error_have_no_tag(sides: Sides) -> None:
    for reply in sides.both(Case("missing", 404, "/api/v1/conversations/77777777")):
        assert "etag" not in reply.headers
        assert reply.headers["cache-control"] == "no-cache"
