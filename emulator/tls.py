"""A certificate of the emulator's own, for its HTTPS and TLS gRPC ports, and a bundle by which clients trust it."""

import contextlib
import datetime
import ipaddress
import json
import os
import shutil
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from halfcascade.emulator.folders import HeldFolder

_LIFETIME = datetime.timedelta(days=30)
_CLOCK_SKEW = datetime.timedelta(days=1)
# Google's hosts too, so that a container may stand under their names (a network alias) and be trusted.
_NAMES = (
    "localhost",
    "127.0.0.1",
    "::1",
    "emulator",
    "halfcascade",
    "host.docker.internal",
    "speech.googleapis.com",
    "texttospeech.googleapis.com",
    "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com",
    "oauth2.googleapis.com",
    "*.googleapis.com",
)


class LoopbackCertificate:
    """A certificate, and the authority that signed it, as old as the emulator.

    The bundle lies in a temporary folder that only the user can read, and that goes with this object. Neither key stays
    in a file: the authority's is never written, the server's only while it is loaded.

    Parameters:
        names: Further host names and addresses under which clients reach the server.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._folder = HeldFolder("halfcascade-tls-")
        now = datetime.datetime.now(datetime.UTC)
        ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        everything = [*_NAMES, socket.gethostname(), *names]
        ca = _certificate("halfcascade emulator CA", None, ca_key, ca_key, now)
        leaf = _certificate("localhost", ca, leaf_key, ca_key, now, names=everything)
        self.chain, self.key = _pem(leaf), _key_pem(leaf_key)
        self.authority = _pem(ca)
        self._bundle = self._write("bundle.pem", self.authority, *_system_roots())
        self._context = self._load()

    @property
    def bundle(self) -> Path:
        """PEM file for ``SSL_CERT_FILE``: this authority and the roots that are trusted anyway."""
        return self._bundle

    def server_context(self) -> ssl.SSLContext:
        """Give the server's TLS settings."""
        return self._context

    def write_credentials(self, token_uri: str) -> Path:
        """Write a service account that Google's libraries take for application default credentials.

        Its key opens nothing: the emulator takes every token.

        Args:
            token_uri: Where tokens are fetched.

        Returns:
            The JSON file.
        """
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "emulator",
            "private_key_id": "emulator",
            "private_key": pem.decode(),
            "client_email": "emulator@emulator.iam.gserviceaccount.com",
            "client_id": "0",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }
        return self._write("credentials.json", json.dumps(account).encode())

    def share(self, folder: Path) -> None:
        """Write the bundle and the credentials into a folder that others read, such as a volume of containers."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.path.glob("*.*"):
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(0o644)

    def remove(self) -> None:
        """Delete the files."""
        self._folder.remove()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # The ssl module reads keys from files only.
        path = self._write("server.pem", self.chain, self.key)
        try:
            context.load_cert_chain(path)
        finally:
            path.unlink()
        return context

    def _write(self, name: str, *parts: bytes) -> Path:
        path = self._folder.path / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(parts)
        return path


def _certificate(
    name: str,
    issuer: x509.Certificate | None,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    *,
    names: Sequence[str] = (),
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_ca = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
    )
    if not is_ca:
        known = [entry for entry in map(_general_name, dict.fromkeys(names)) if entry is not None]
        builder = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName | None:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    with contextlib.suppress(ValueError):
        return x509.DNSName(name)
    return None


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _system_roots() -> list[bytes]:
    """Read the roots that clients would trust without the emulator's ``SSL_CERT_FILE``."""
    candidates = [os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, certifi.where()]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return [b"\n", Path(candidate).read_bytes()]
    return []
