"""A small time-stamping authority on loopback: an HTTP server around ``openssl ts``, with certificates made here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECTION = """[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {folder}/own.pem
signer_key = {folder}/own.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
tsa_name = yes
"""


class Tsa:
    """What the authority has in its folder, what it was asked, and how it behaves.

    ``root`` is the file of its issuer's certificate, ``own`` of its own. ``mood``: ``honest``; ``refuse`` (HTTP 500);
    ``redirect`` (to a place that notes who comes); ``garbage``; ``stale`` (the answer to an earlier question).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root, self.own = folder / "root.pem", folder / "own.pem"
        self.mood = "honest"
        self.asked: list[bytes] = []
        self.strayed: list[str] = []
        self.port = 0
        _certificates(folder)
        (folder / "serial").write_text("01\n")
        (folder / "openssl.cnf").write_text(SECTION.format(folder=folder))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tsr"

    def site(self, certificate: Path) -> dict[str, dict[str, object]]:
        """The section of a site's plain values that names this authority."""
        return {"timestamp": {"url": self.url, "certificate": str(certificate), "timeout_s": 10.0}}

    def answer(self, question: bytes) -> bytes:
        self.asked.append(question)
        (self.folder / "question").write_bytes(self.asked[0] if self.mood == "stale" else question)
        command = ["openssl", "ts", "-reply", "-queryfile", "question", "-config", "openssl.cnf", "-out", "answer"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return b"what?" if self.mood == "garbage" else (self.folder / "answer").read_bytes()


@contextmanager
def running(folder: Path) -> Iterator[Tsa]:
    """An authority that answers until the context ends."""
    tsa = Tsa(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/tsr":
                tsa.strayed.append(self.path)
            status = {"refuse": 500, "redirect": 307}.get(tsa.mood, 200)
            data = tsa.answer(body) if status == 200 else b""
            self.send_response(status)
            if status == 307:
                self.send_header("Location", f"http://127.0.0.1:{tsa.port}/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tsa.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield tsa
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificates(folder: Path) -> None:
    root_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("Test root", "Test root", root_key.public_key(), root_key, ca=True)
    own = _certificate("Test authority", "Test root", own_key.public_key(), root_key, ca=False)
    for path, certificate in ((folder / "root.pem", root), (folder / "own.pem", own)):
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "own.key").write_bytes(own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(
    subject: str, issuer: str, public: ec.EllipticCurvePublicKey, key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(key, hashes.SHA256())
