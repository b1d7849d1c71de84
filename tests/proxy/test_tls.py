from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from proxy.faults import ConfigError
from proxy.tls import Certificate, server_context
from tests.fidelity.cases import TE, answer, ask
from tests.fidelity.origin import OK
from tests.fidelity.wire import Close, Hear, Peer, Signals, Until, Whole
from tests.proxy.certificates import Pair, self_signed
from tests.proxy.entry import Entry, entered, until_answered
from tests.proxy.stage import eventually

REFUSED = "^$|(?i:reset|alert)"  # the event loop resets a connection whose handshake failed; its client may say so
NAMES = "DNS:localhost", "IP:127.0.0.1"
UPGRADE = ask("GET /cable", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return self_signed(tmp_path_factory.mktemp("tls"), "localhost", *NAMES)


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A pair of another kind."""
    directory = tmp_path_factory.mktemp("rsa")
    made = Pair(directory / "rsa.pem", directory / "rsa.key")
    subject = "-subj", "/CN=localhost", "-addext", f"subjectAltName={','.join(NAMES)}", "-days", "1"
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", made.key, "-out", made.certificate, *subject)
    return made


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def encrypted(certificate: Certificate) -> AbstractAsyncContextManager[Entry]:
    return entered(
        lambda strangler: {"http": strangler.front, "ssl_context_factory": lambda config, default: certificate.context}
    )


def believing(pair: Pair) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pair.certificate)


@asynccontextmanager
async def connected(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host))
    async with peer.listening():
        yield peer


async def agreed(port: int, context: ssl.SSLContext) -> tuple[str | None, str | None]:
    """The version of TLS and the protocol within it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return tls.version(), tls.selected_alpn_protocol()


async def curl(entry: Entry, pair: Pair, *more: str) -> str:
    arguments = "-sS", "--max-time", "10", "--cacert", str(pair.certificate), *more
    url = f"https://localhost:{entry.port}/x"
    process = await asyncio.create_subprocess_exec("curl", *arguments, url, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return told.decode()


@pytest.mark.parametrize(("version", "shown"), [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")])
async def test_users_are_served_over_tls_and_sides_are_told_so(pair: Pair, version: str, shown: str) -> None:
    async with encrypted(Certificate(pair.certificate, pair.key)) as entry:
        assert await curl(entry, pair, "--tls-max", version, "-H", "Host: chat.example") == "ok"
        assert entry.told(b"x-forwarded-proto") == [[b"https"]]
        assert entry.told(b"x-forwarded-port") == [[b"443"]]
        assert entry.told(b"forwarded") == [[b"for=127.0.0.1;host=chat.example;proto=https"]]
        context = believing(pair)
        context.maximum_version = getattr(ssl.TLSVersion, shown.replace(".", "_"))
        assert (await agreed(entry.port, context))[0] == shown


async def test_older_versions_of_tls_are_refused(pair: Pair) -> None:
    old = believing(pair)
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with encrypted(Certificate(pair.certificate, pair.key)) as entry:
        assert (await agreed(entry.port, old))[0] == "TLSv1.3"
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError, match=REFUSED):
            await agreed(entry.port, old)


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)])
async def test_http_1_1_is_what_is_agreed_on(pair: Pair, offered: list[str], chosen: str | None) -> None:
    context = believing(pair)
    context.set_alpn_protocols(offered)
    async with encrypted(Certificate(pair.certificate, pair.key)) as entry, connected(entry.port, context) as user:
        assert (await agreed(entry.port, context))[1] == chosen
        await user.send(ask("GET /x"))
        await until_answered(user)


async def test_what_does_not_begin_as_tls_reaches_nobody(pair: Pair) -> None:
    async with encrypted(Certificate(pair.certificate, pair.key)) as entry:
        reader, writer = await asyncio.open_connection("127.0.0.1", entry.port)
        writer.write(ask("GET /x"))
        assert b"HTTP" not in await reader.read()
        writer.close()
        await eventually(lambda: entry.connections == 0)
        assert entry.origin.received == []


async def test_an_answer_that_breaks_off_does_not_pass_for_whole_at_an_http_1_0_client(pair: Pair) -> None:
    signals, context = Signals(), believing(pair)
    half = answer("200 OK", TE, body=b"4\r\nhalf\r\n"), Hear("half"), Close()
    async with encrypted(Certificate(pair.certificate, pair.key)) as entry, connected(entry.port, context) as user:
        entry.origin.begin((Whole(), *half), signals=signals)
        await user.send(b"GET /old HTTP/1.0\r\nHost: example.test\r\n\r\n")
        await user.until(lambda: user.raw.endswith(b"half"))
        signals["half"].set()
        await user.until(lambda: user.ended is not None)
        assert user.ended == "reset"


async def test_large_bodies_pass_both_ways(pair: Pair) -> None:
    body, context = b"0123456789abcdef" * (1 << 18), believing(pair)
    async with encrypted(Certificate(pair.certificate, pair.key)) as entry, connected(entry.port, context) as user:
        entry.origin.begin((Whole(), answer("200 OK", b"Content-Length: %d" % len(body), body=body)))
        await user.send(ask("POST /x", b"Content-Length: %d" % len(body), body=body))
        await user.until(lambda: user.raw.endswith(body))
        assert user.raw.endswith(body)
        assert entry.origin.received[0].body == body


async def test_a_tunnel_goes_through_tls(pair: Pair) -> None:
    agreed = answer("101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket")
    async with (
        encrypted(Certificate(pair.certificate, pair.key)) as entry,
        connected(entry.port, believing(pair)) as user,
    ):
        entry.origin.begin((Whole(), agreed, Until(b"ping"), b"pong", Close()))
        await user.send(UPGRADE)
        await user.until(lambda: user.raw.startswith(b"HTTP/1.1 101"))
        await user.send(b"ping")
        await user.until(lambda: user.ended is not None)
        assert user.raw.endswith(b"pong")
        assert entry.told(b"x-forwarded-proto") == [[b"https"]]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])  # an address is no server name (RFC 6066 §3)
async def test_a_renewed_certificate_is_shown_to_whoever_connects_next(
    pair: Pair, rsa: Pair, tmp_path: Path, host: str
) -> None:
    files = Pair(tmp_path / "server.pem", tmp_path / "server.key")
    _copy(rsa, files)
    certificate = Certificate(files.certificate, files.key)
    only_rsa = believing(rsa)
    only_rsa.maximum_version = ssl.TLSVersion.TLSv1_2
    only_rsa.set_ciphers("aRSA")
    async with encrypted(certificate) as entry, connected(entry.port, believing(rsa), host) as before:
        assert (await agreed(entry.port, only_rsa))[0] == "TLSv1.2"
        _copy(pair, files)
        certificate.reload()
        async with connected(entry.port, believing(pair), host) as after:
            for user in (before, after):
                entry.origin.begin(OK)
                await user.send(ask("GET /x"))
                await until_answered(user)
        with pytest.raises(OSError, match=REFUSED):  # not even to those who take nothing but the old kind of key
            await agreed(entry.port, only_rsa)


async def test_a_renewal_that_went_wrong_leaves_the_certificate_that_was(pair: Pair, rsa: Pair, tmp_path: Path) -> None:
    files = Pair(tmp_path / "server.pem", tmp_path / "server.key")
    _copy(pair, files)
    certificate = Certificate(files.certificate, files.key)
    files.key.write_bytes(rsa.key.read_bytes())
    with pytest.raises(ConfigError):
        certificate.reload()
    async with encrypted(certificate) as entry, connected(entry.port, believing(pair)) as user:
        await user.send(ask("GET /x"))
        await until_answered(user)


def test_a_pair_that_is_none_is_a_fault_of_the_configuration(pair: Pair, rsa: Pair, tmp_path: Path) -> None:
    same_kind = self_signed(tmp_path, "other")
    gone, broken = tmp_path / "gone.pem", tmp_path / "broken.pem"
    broken.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    locked = tmp_path / "locked.key"
    _openssl("pkcs8", "-topk8", "-in", pair.key, "-passout", "pass:secret", "-out", locked)
    faults = {
        (gone, pair.key): f"tls.certificate: {gone} cannot be read: No such file or directory",
        (pair.certificate, tmp_path): f"tls.key: {tmp_path} cannot be read: Is a directory",
        (pair.key, pair.key): f"tls.certificate: {pair.key} holds no certificate in PEM",
        (pair.certificate, pair.certificate): f"tls.key: {pair.certificate} holds no private key in PEM",
        (pair.certificate, same_kind.key): f"tls.key: {same_kind.key} is not the key of the certificate in "
        f"{pair.certificate}",
        (pair.certificate, rsa.key): f"tls.key: {rsa.key} is not the key of the certificate in {pair.certificate}",
        (pair.certificate, locked): f"tls.key: {locked} is encrypted, and nobody is there to type its passphrase",
        (broken, pair.key): f"tls: {broken} and {pair.key} cannot be read as a certificate and its key",
    }
    for files, fault in faults.items():
        with pytest.raises(ConfigError) as error:
            server_context(*files)
        assert str(error.value) == fault


def _copy(source: Pair, target: Pair) -> None:
    target.certificate.write_bytes(source.certificate.read_bytes())
    target.key.write_bytes(source.key.read_bytes())
