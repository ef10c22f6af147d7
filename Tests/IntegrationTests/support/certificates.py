"""Certificates for TLS, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Chain:
    """Files of a server's certificate that an intermediate authority has signed."""
    bundle: str  # the certificate, and the intermediate's
    key: str
    intermediate: str


class Certificates:
    """An authority, a server's certificate for `localhost` and 127.0.0.1, a client's, and a stranger's authority."""

    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        self._authority("ca")
        self._authority("stranger")
        self.signed("server", "subjectAltName=DNS:localhost,DNS:redis.example,IP:127.0.0.1")
        self.signed("client", "extendedKeyUsage=clientAuth")

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)

    def server_flags(self, client_certificates: str = "no") -> list[str]:
        """For a Redis that speaks TLS; it shows the same certificate where it is a client (to its master, on a bus)."""
        return ["--tls-cert-file", self["server.pem"], "--tls-key-file", self["server.key"],
                "--tls-ca-cert-file", self["ca.pem"], "--tls-auth-clients", client_certificates]

    def chained(self, name: str, extension: str) -> Chain:
        self.signed(f"{name}-authority", "basicConstraints=critical,CA:TRUE")
        self.signed(name, extension, by=f"{name}-authority")
        bundle = self.directory / f"{name}-bundle.pem"
        intermediate = self[f"{name}-authority.pem"]
        bundle.write_text(Path(self[f"{name}.pem"]).read_text() + Path(intermediate).read_text())
        return Chain(str(bundle), self[f"{name}.key"], intermediate)

    def encrypted(self, key: str) -> str:
        """The same key with a password."""
        self._openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", f"encrypted-{key}")
        return self[f"encrypted-{key}"]

    def _openssl(self, *arguments: str) -> None:
        # Long valid already, so that a program whose clock stands in the past accepts them too.
        command = ["faketime", "2024-01-01 00:00:00", "openssl", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.directory)

    def _authority(self, name: str) -> None:
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500",
                      "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")

    def signed(self, name: str, extension: str, by: str = "ca") -> None:
        """`name` is also the common name."""
        (self.directory / f"{name}.ext").write_text(extension + "\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial",
                      "-days", "36500", "-out", f"{name}.pem", "-extfile", f"{name}.ext")
