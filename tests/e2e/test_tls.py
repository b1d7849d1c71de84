"""A proxy that takes TLS off itself, as operators have it."""

from __future__ import annotations

import shutil
import signal
import ssl
from pathlib import Path

import httpx

from demo.service import LOOPBACK
from tests.e2e.proxies import running, until
from tests.fidelity.origin import running_origin
from tests.proxy.certificates import Authority, Pair


async def answered(port: int, authority: Authority) -> str:
    """What a user who believes in this authority is answered, or why it came to none."""
    context = ssl.create_default_context(cafile=str(authority.own.certificate))
    async with httpx.AsyncClient(verify=context) as user:
        try:
            return (await user.get(f"https://{LOOPBACK}:{port}/x")).text
        except httpx.ConnectError:
            return "not believed"


async def test_a_new_certificate_is_taken_up_without_a_stop(tmp_path: Path) -> None:
    old, new = (Authority.founded(directory(tmp_path / name)) for name in ("old", "new"))
    shown = Pair(tmp_path / "shown.pem", tmp_path / "shown.key")
    put(shown, old.sign("server", f"IP:{LOOPBACK}"))
    tls = {"certificate": str(shown.certificate), "key": str(shown.key)}
    async with running_origin() as origin:
        config = {"legacy": {"url": f"http://{LOOPBACK}:{origin.port}"}, "tls": tls}
        with running(tmp_path, config) as proxy:
            assert await answered(proxy.service.port, old) == "ok"

            shown.key.write_text("no key")
            proxy.service.process.send_signal(signal.SIGHUP)
            until(proxy, lambda: "so the old one stays" in proxy.service.log.read_text())
            assert await answered(proxy.service.port, old) == "ok"

            put(shown, new.sign("server", f"IP:{LOOPBACK}"))
            proxy.service.process.send_signal(signal.SIGHUP)
            until(proxy, lambda: "the certificate is read again" in proxy.service.log.read_text())
            assert await answered(proxy.service.port, new) == "ok"
            assert await answered(proxy.service.port, old) == "not believed"


async def test_asking_for_a_renewal_where_there_is_nothing_to_renew_ends_nothing(tmp_path: Path) -> None:
    async with running_origin() as origin:
        with running(tmp_path, {"legacy": {"url": f"http://{LOOPBACK}:{origin.port}"}}) as proxy:
            proxy.service.process.send_signal(signal.SIGHUP)
            until(proxy, lambda: "nothing was renewed" in proxy.service.log.read_text())
            async with httpx.AsyncClient(base_url=proxy.url) as user:
                assert (await user.get("/x")).text == "ok"


def directory(path: Path) -> Path:
    path.mkdir()
    return path


def put(shown: Pair, pair: Pair) -> None:
    shutil.copy(pair.certificate, shown.certificate)
    shutil.copy(pair.key, shown.key)
