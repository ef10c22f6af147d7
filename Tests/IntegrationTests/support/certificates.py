"""Certificates for TLS, made by openssl."""

import subprocess


class Certificates:
    """An authority, a server's certificate for `localhost` and 127.0.0.1, a client's, and a stranger's authority."""

    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        self._authority("ca")
        self._authority("stranger")
        self._signed("server", "subjectAltName=DNS:localhost,DNS:redis.example,IP:127.0.0.1")
        self._signed("client", "extendedKeyUsage=clientAuth")

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)

    def server_flags(self, client_certificates: str = "no") -> list[str]:
        """For a Redis that speaks TLS; it shows the same certificate where it is a client (to its master, on a bus)."""
        return ["--tls-cert-file", self["server.pem"], "--tls-key-file", self["server.key"],
                "--tls-ca-cert-file", self["ca.pem"], "--tls-auth-clients", client_certificates]

    def _openssl(self, *arguments: str) -> None:
        # Long valid already, so that a program whose clock stands in the past accepts them too.
        command = ["faketime", "2024-01-01 00:00:00", "openssl", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.directory)

    def _authority(self, name: str) -> None:
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500",
                      "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")

    def _signed(self, name: str, extension: str) -> None:
        (self.directory / f"{name}.ext").write_text(extension + "\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", "36500", "-out", f"{name}.pem", "-extfile", f"{name}.ext")
