"""Unleash's own SDK and its own server decide for 20 000 subjects; so does a worker that follows that server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

from UnleashClient.clients.async_unleash_client import AsyncUnleashClient

from demo.service import Service
from demo.unleash import CLIENT_TOKEN, Page, rollout
from flags.flag import bucket
from flags.loop import Loop
from flags.store.memory import MemoryStore
from flags.unleash.backup import Backup
from flags.unleash.follow import Unleash
from flags.unleash.server import Server
from tests.contract.redis_process import PATIENCE
from tests.flags.scripted import asks
from tests.flags.workers import RULE

SUBJECTS = [f"user-{number}" if number % 2 else str(number) for number in range(20_000)]
SHARES = {"shared": [rollout(25)], "own": [rollout(37, group=None)]}
FLAGS = {
    **SHARES,
    "by-user": [rollout(3, group="a journey", stickiness="userId")],
    "everybody": [rollout(100)],
    "several": [rollout(10, group="x"), rollout(10, group="y")],
    "asking": [rollout(10, constraints=[asks("userId", "user-", operator="STR_STARTS_WITH")])],
}


async def decided_here(server: Service, flags: list[str], folder: Path) -> Callable[[str, str], bool]:
    """Whether native is for a subject, by a flag, once Unleash has been heard."""
    loop = Loop(MemoryStore(), flags, RULE, "worker")
    asked = Server(server.url, CLIENT_TOKEN, limit=PATIENCE)
    unleash = Unleash(asked, loop, flags, Backup(folder / "unleash.json"))
    async with asyncio.timeout(2 * PATIENCE):
        while not all(loop.get(flag).native for flag in flags):
            await unleash.poll()
    await asked.close()

    def decided(name: str, subject: str) -> bool:
        flag = loop.get(name)
        if flag.by_rules:
            return unleash.chooses(name, subject, "127.0.0.1")
        assert flag.source is not None
        return bucket(str(flag.source.group), subject) < flag.native

    return decided


async def test_a_worker_and_unleashs_sdk_agree_on_every_one_of_20_000_subjects(
    unleash_server: Service, tmp_path: Path
) -> None:
    mark = secrets.token_hex(4)
    names = {name: f"{name}.{mark}" for name in FLAGS}
    async with Page(unleash_server.url) as page:
        for name, strategies in FLAGS.items():
            await page.create(names[name], *strategies)
        listed = await page.segment(f"testers {mark}", asks("userId", *SUBJECTS[:50]))
        names["of-a-segment"] = f"of-a-segment.{mark}"
        await page.create(names["of-a-segment"], rollout(100, segments=[listed]))
    decided = await decided_here(unleash_server, [*names.values()], tmp_path)
    async with AsyncUnleashClient(
        f"{unleash_server.url}/api",
        "a-service-beside-the-proxy",
        custom_headers={"Authorization": CLIENT_TOKEN},
        disable_metrics=True,
        disable_registration=True,
        cache_directory=str(tmp_path),
    ) as sdk:
        for name, flag in names.items():
            subjects = SUBJECTS if name in SHARES else SUBJECTS[:2_000]
            theirs = [sdk.is_enabled(flag, {"userId": subject}) for subject in subjects]
            assert [decided(flag, subject) for subject in subjects] == theirs
            assert any(theirs)
