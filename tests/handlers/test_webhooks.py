from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis import Redis
from structlog.testing import capture_logs

from demo.graph import delivery, signed, written
from demo.stack import start_redis
from handlers.resources import Settings
from handlers.webhooks import proves, signature
from tests.handlers.serving import serving

WEBHOOK = "/webhooks/facebook"
SECRET, TOKEN = "app-secret", "verify-token"
BODY = delivery([written("acme-page", "someone", "m_1", "hello")])
ASKED = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "42"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, facebook_app_secret=SECRET, facebook_verify_token=TOKEN)


async def told(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post(WEBHOOK, content=BODY, headers=signed(BODY, SECRET) | headers)


def test_a_signature_is_the_hmac_of_the_body() -> None:
    # The example of RFC 4231, section 4.3.
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature(b"what do ya want for nothing?", "Jefe") == expected


def test_nothing_proves_nothing() -> None:
    assert proves(b"secret", "secret")
    assert not proves(b"secre", "secret")
    assert not proves("sécret".encode(), "secret")
    assert not proves(b"", "")
    assert signature(b"body", "") == ""


async def test_the_address_is_confirmed_to_who_knows_the_token(client: httpx.AsyncClient) -> None:
    answer = await client.get(WEBHOOK, params=ASKED)
    assert (answer.status_code, answer.text) == (200, "42")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await client.get(WEBHOOK, params=ASKED | {"hub.verify_token": "wrong"})).status_code == 403


async def test_without_a_secret_and_a_token_nobody_is_believed(settings: Settings, redis: Redis) -> None:
    async with serving(replace(settings, facebook_app_secret="", facebook_verify_token="")) as client:
        for shown in (signed(BODY, "")["X-Hub-Signature-256"], ""):
            headers = {"X-Hub-Signature-256": shown}
            assert (await client.post(WEBHOOK, content=BODY, headers=headers)).status_code == 401
        for token in ("", TOKEN):
            assert (await client.get(WEBHOOK, params=ASKED | {"hub.verify_token": token})).status_code == 403
    assert redis.llen("queue:default") == 0


async def test_a_delivery_is_left_to_a_job_and_asks_the_database_nothing(settings: Settings, redis: Redis) -> None:
    nowhere = replace(settings, database_url="postgresql://127.0.0.1:9/nowhere")
    async with serving(nowhere) as client:
        answer = await told(client)
    assert (answer.status_code, answer.json()) == (200, {"status": "received"})
    assert redis.llen("queue:default") == 1


async def test_a_candidates_delivery_is_answered_and_not_enqueued(client: httpx.AsyncClient, redis: Redis) -> None:
    answer = await told(client, **{"X-Strangler-Shadow": "1"})
    assert (answer.status_code, answer.json()) == (200, {"status": "received"})
    assert redis.llen("queue:default") == 0


@pytest.mark.parametrize("fault", ["gone", "frozen"])
async def test_without_redis_facebook_must_come_again_and_legacy_is_not_asked_instead(
    settings: Settings, tmp_path: Path, fault: str
) -> None:
    server = start_redis(tmp_path)
    with server.service:
        async with serving(replace(settings, redis_url=server.url(), redis_wait=0.2)) as client:
            if fault == "gone":
                server.service.kill()
            else:
                server.service.pause()
            with capture_logs() as logs:
                answer = await told(client)
    assert answer.status_code == 503
    # A job that was not acknowledged may be there.
    assert "x-strangler-discarded" not in answer.headers
    assert "hello" not in str(logs)
