from __future__ import annotations

import httpx
import pytest

from handlers.auth import permitted
from handlers.errors import CallersFault, Forbidden, NotFound, Unauthorized
from handlers.resources import Settings
from tests.handlers.serving import bearer, serving

SHOW = "/api/v1/conversations/1"


async def test_the_bearer_of_a_good_token_is_let_in(client: httpx.AsyncClient) -> None:
    assert (await client.get(SHOW)).status_code == 200


@pytest.mark.parametrize(
    "authorization", [[], [b"Bearer a.b.c"], [b"\xff"], [b"", b"Bearer {good}"], [b"Bearer {good}"] * 2]
)
async def test_anybody_else_is_not(settings: Settings, authorization: list[bytes]) -> None:
    good = bearer(settings)["Authorization"].removeprefix("Bearer ").encode()
    headers = [(b"authorization", value.replace(b"{good}", good)) for value in authorization]
    async with serving(settings) as client:
        del client.headers["Authorization"]
        answer = await client.get(SHOW, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "unauthorized"})


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (None, Unauthorized),
        ((False, None, None), NotFound),
        ((False, True, 1), NotFound),
        ((True, False, 1), Forbidden),
    ],
)
def test_a_change_is_refused_for_who_is_gone_then_what_is_not_there_then_who_may_not(
    row: tuple[object, ...] | None, fault: type[CallersFault]
) -> None:
    with pytest.raises(fault):
        permitted(row)
    assert permitted((True, True, 1, "a")) == (1, "a")
