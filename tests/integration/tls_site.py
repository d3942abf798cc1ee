"""Small HTTPS servers on loopback with certificates made on the spot, for tests of the browser side."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tornado.httpserver
import tornado.netutil
import tornado.web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from runbook_lib.certificates.facts import spki_sha256_of


class Identity:
    """A self-signed certificate with nothing but a CN, and its key, in one PEM file."""

    def __init__(self, folder: Path, common_name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .sign(key, hashes.SHA256())
        )
        self.pem = folder / f"{common_name}-{certificate.serial_number:x}.pem"
        self.pem.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        self.pin = spki_sha256_of(certificate.public_bytes(Encoding.DER))

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        return context


@contextmanager
def serving(application: tornado.web.Application, context: ssl.SSLContext) -> Iterator[str]:
    """Serve on a free port of the running event loop; gives the base URL."""
    server = tornado.httpserver.HTTPServer(application, ssl_options=context)
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield f"https://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.stop()
