"""A small certificate authority, as a site would run one: the `openssl` command makes the files."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers.process import program

_DAYS = 365


@dataclass(frozen=True, kw_only=True)
class Pair:
    """PEM files of a certificate and of its private key."""

    certificate: Path
    key: Path


class Authority:
    """`Authority(folder, "Site CA").issue("node")` makes the files below `folder`.

    Args:
        folder: Made if it is not there.
        name: Its Common Name.
        days: How long it is valid.
    """

    def __init__(self, folder: Path, name: str = "Site CA", days: int = _DAYS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = folder / "authority.key"
        self.certificate = folder / "authority.pem"
        # Without a configuration of its own the command would add the machine's default extensions.
        configuration = folder / "authority.cnf"
        configuration.write_text("[req]\ndistinguished_name = name\n[name]\n", encoding="utf-8")
        _openssl("req", "-x509", "-config", configuration, "-subj", f"/CN={name}", "-days", days,
                 *_new_key("ec:P-256"), "-keyout", self._key, "-out", self.certificate,
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip

    def issue(
        self,
        name: str,
        *,
        hosts: str = "IP:127.0.0.1,DNS:localhost",
        days: int = _DAYS,
        key: str = "ec:P-256",
        usage: str = "serverAuth, clientAuth",
        subject: str = "",
        passphrase: str = "",
    ) -> Pair:
        """Return a new pair.

        Args:
            name: Common Name, and name of the files; a second pair of that name replaces the first.
            hosts: Subject alternative names; none where empty.
            days: How long it is valid; -1 makes one that ended yesterday.
            key: ``ec:CURVE`` or ``rsa:BITS``.
            usage: Extended key usage.
            subject: As openssl writes it, instead of ``/O=Site/CN=name``.
            passphrase: If given, the key can be read with it only.
        """
        pair = Pair(certificate=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        lines = [f"extendedKeyUsage = {usage}"]
        lines += [f"subjectAltName = {hosts}"] if hosts else []
        extensions.write_text("\n".join(lines), encoding="utf-8")
        _openssl("req", "-utf8", "-config", self._folder / "authority.cnf",
                 "-subj", subject or f"/O=Site/CN={name}", *_new_key(key, passphrase),
                 "-keyout", pair.key, "-out", request)  # fmt: skip
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
                 "-CAcreateserial", "-days", days, "-sha256", "-extfile", extensions,
                 "-out", pair.certificate)  # fmt: skip
        return pair


def _new_key(kind: str, passphrase: str = "") -> list[str]:
    algorithm, size = kind.split(":")
    option = "ec_paramgen_curve" if algorithm == "ec" else "rsa_keygen_bits"
    lock = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
    return ["-newkey", algorithm, "-pkeyopt", f"{option}:{size}", *lock]


def _openssl(*arguments: object) -> None:
    command = [program("openssl"), *(str(argument) for argument in arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
