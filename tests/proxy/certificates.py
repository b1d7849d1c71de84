"""Certificates for tests, made by `openssl`: an authority of our own, and servers' certificates signed by it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs in a directory of its own. `own` is what its believers are given."""

    directory: Path
    own: Pair

    @classmethod
    def founded(cls, directory: Path) -> Authority:
        return cls(directory, self_signed(directory, "authority"))

    def sign(self, name: str, *subjects: str, days: int = 1) -> Pair:
        """For subjects such as `DNS:localhost` and `IP:127.0.0.1`; negative days: it has expired."""
        pair = _pair(self.directory, name)
        request, names = self.directory / f"{name}.csr", self.directory / f"{name}.cnf"
        names.write_text(f"subjectAltName={','.join(subjects)}\n")
        _openssl("req", "-new", *_NEW_KEY, "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}")
        signed_by = "-CA", self.own.certificate, "-CAkey", self.own.key
        _openssl("x509", "-req", "-in", request, *signed_by, "-days", days, "-extfile", names, "-out", pair.certificate)
        return pair


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def self_signed(directory: Path, name: str, *subjects: str) -> Pair:
    pair = _pair(directory, name)
    alternatives = ["-addext", f"subjectAltName={','.join(subjects)}"] if subjects else []
    made = "-keyout", pair.key, "-out", pair.certificate, "-subj", f"/CN={name}", "-days", 1
    _openssl("req", "-x509", *_NEW_KEY, *made, *alternatives)
    return pair


def _pair(directory: Path, name: str) -> Pair:
    return Pair(directory / f"{name}.pem", directory / f"{name}.key")


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
