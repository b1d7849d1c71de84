"""TLS for users who come without a balancer: the server's certificate, which can be renewed while it serves."""

from __future__ import annotations

import ssl
from pathlib import Path

from proxy.faults import ConfigError, Fault

CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
KEY = b"PRIVATE KEY-----"
MISMATCHES = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")  # of one kind, such as RSA; of different kinds


class Certificate:
    """A certificate and its key, read from files. `context` is what a server listens with."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._shown = server_context(certificate, key)
        self.context = server_context(certificate, key)
        # Loading another pair into the context would keep the old one for clients that prefer its kind of key.
        self.context.sni_callback = self._show

    def reload(self) -> None:
        """Show the files as they are now to whoever connects from now on; on ConfigError the old pair stays."""
        self._shown = server_context(*self._files)

    def _show(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._shown  # called in each handshake, whether or not the client names a server


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and later, HTTP/1.1; a ConfigError that names the place in the configuration if the files are no pair."""
    _require("tls.certificate", certificate, CERTIFICATE, "no certificate in PEM")
    _require("tls.key", key, KEY, "no private key in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # no user has a use for it but to keep this end busy
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _EncryptedKey:
        raise _fault("tls.key", f"{key} is encrypted, and nobody is there to type its passphrase") from None
    except ssl.SSLError as error:
        if error.reason in MISMATCHES:
            raise _fault("tls.key", f"{key} is not the key of the certificate in {certificate}") from None
        raise _fault("tls", f"{certificate} and {key} cannot be read as a certificate and its key") from None
    return context


class _EncryptedKey(Exception):
    pass


def _no_passphrase() -> str:
    raise _EncryptedKey


def _require(place: str, path: Path, mark: bytes, lacking: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _fault(place, f"{path} cannot be read: {error.strerror}") from None
    if mark not in content:
        raise _fault(place, f"{path} holds {lacking}")


def _fault(place: str, message: str) -> ConfigError:
    return ConfigError([Fault(place, message)])
