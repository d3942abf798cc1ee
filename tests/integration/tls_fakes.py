"""TLS servers on loopback that answer handshakes only, and the certificates that they present."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Chain:
    """A leaf of a small CA of its own: ``pem`` holds leaf, CA certificate and the leaf's key, ``der`` the first two."""

    def __init__(self, folder: Path, name: str, key: CertificateIssuerPrivateKeyTypes | None = None) -> None:
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP256R1())
        ca = _signed("Test CA", ca_key, "Test CA", ca_key)
        leaf = _signed(name, key, "Test CA", ca_key)
        self.der = tuple(one.public_bytes(Encoding.DER) for one in (leaf, ca))
        self.pem = folder / f"{name}-{leaf.serial_number:x}.pem"
        self.pem.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + leaf.public_bytes(Encoding.PEM)
            + ca.public_bytes(Encoding.PEM)
        )


def small_rsa_key() -> rsa.RSAPrivateKey:
    """A key that a careful client would refuse."""
    return rsa.generate_private_key(65537, 1024)


def _signed(
    name: str, key: CertificateIssuerPrivateKeyTypes, issuer: str, issuer_key: CertificateIssuerPrivateKeyTypes
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))  # expired: a probe shows what is there
        .sign(issuer_key, hashes.SHA256())
    )


class TlsServer:
    """``async with TlsServer(chain, ...) as server``: answers TLS handshakes and keeps what was sent inside.

    Each connection gets the next of ``chains``, the last one for ever. ``handshakes`` holds the name that each
    client asked for, None where it asked for none. ``of_no_name`` is what that one is shown then; None: an alert.
    ``failed`` holds why a handshake was not ended, or a connection was lost.
    """

    def __init__(
        self,
        *chains: Chain,
        listen: str = "127.0.0.1",
        tune: Callable[[ssl.SSLContext], None] | None = None,
        of_no_name: Chain | str | None = "the same",
    ) -> None:
        self._chains = chains
        self._of_no_name = of_no_name
        self._tune = tune
        self._listen = listen
        self.handshakes: list[str | None] = []
        self.failed: list[Exception] = []
        self.received = b""

    async def __aenter__(self) -> TlsServer:
        self._server = await asyncio.start_server(self._serve, self._listen, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._tune:
            self._tune(context)
        chain = self._chains[min(len(self.handshakes), len(self._chains) - 1)]
        by_name = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        other = self._of_no_name if isinstance(self._of_no_name, Chain) else None
        context.load_cert_chain(other.pem if other else chain.pem)
        if other:
            by_name.load_cert_chain(chain.pem)
        self.handshakes.append(None)
        number = len(self.handshakes) - 1

        def name_asked_for(sock: ssl.SSLObject, name: str | None, _context: object) -> int | None:
            self.handshakes[number] = name
            if name and other:
                sock.context = by_name
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name is None and self._of_no_name is None else None

        context.sni_callback = name_asked_for
        try:
            await writer.start_tls(context)
            self.received += await reader.read()
        except (OSError, EOFError) as error:
            self.failed.append(error)
        finally:
            writer.close()
