"""The lab's own certificate authority, and certificates with what scenarios want to be wrong with them.

Keys are on P-256: they take a millisecond where RSA takes a hundred. Each lab has an authority of its own,
so that nobody is ever tempted to trust it anywhere else.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guestnet.world.described.place import is_address
from guestnet.world.described.server import Certificate

WRONG_NAME: Final = "somebody-else.example"
"""The only name in a certificate of kind "wrong-name"."""

_LONG: Final = timedelta(days=3650)
"""Further than any lab's clock jumps, either way."""
_COMMON_NAME: Final = 64
"""Characters that a common name may have (RFC 5280 appendix A.1, ub-common-name)."""


class Authority:
    """An authority with a new key, around the lab's time ``now`` (ns since the epoch)."""

    def __init__(self, now: int) -> None:
        self._now = datetime.fromtimestamp(now // 1_000_000_000, UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("guestnet lab CA")
        self._certificate = (
            self._builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The authority's certificate: what clients are to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def write(self, path: Path) -> None:
        """Key and certificate into a file, as mitmproxy takes them."""
        _write(path, _pem(self._key) + self.pem.encode())

    def issue(self, names: Sequence[str], path: Path, kind: Certificate = "valid") -> None:
        """A new key and its certificate for ``names`` (domain names, wildcards, addresses) into a file."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [WRONG_NAME] if kind == "wrong-name" else list(names)
        subject = _named(names[0][:_COMMON_NAME])
        own = kind == "self-signed"
        # RFC 5280 section 4.2.1.6: addresses are of a type of their own.
        alternatives = x509.SubjectAlternativeName(
            [x509.IPAddress(ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names]
        )
        certificate = (
            self._builder(subject, subject if own else self._name, key, expired=kind == "expired")
            .add_extension(alternatives, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    key.public_key() if own else self._key.public_key()
                ),
                critical=False,
            )
            .sign(key if own else self._key, hashes.SHA256())
        )
        _write(path, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, expired: bool = False
    ) -> x509.CertificateBuilder:
        end = self._now - timedelta(days=1) if expired else self._now + _LONG
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _LONG)
            .not_valid_after(end)
        )


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
