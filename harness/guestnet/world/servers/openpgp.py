"""Signatures as apt's repositories have them: OpenPGP (RFC 4880), with EdDSA (RFC 9580, section 5.2.3.3).

Just what gpgv needs to accept a text as signed: a key, its user, and the cleartext signature framework. The
key is made of its user's name, so that anybody may forge it: it signs what is only ever in a lab.
"""

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PUBLIC_KEY: Final = 6
_USER_ID: Final = 13
_SIGNATURE: Final = 2
_EDDSA: Final = 22
_SHA256: Final = 8
_OF_TEXT: Final = 0x01
_OF_USER: Final = 0x13
_CREATED: Final = 2
_ISSUER: Final = 16
_KEY_FLAGS: Final = 27
_CERTIFIES_AND_SIGNS: Final = b"\x03"
_ISSUER_FINGERPRINT: Final = 33
_ED25519: Final = bytes.fromhex("2b06010401da470f01")
"""The curve's object identifier."""


class Signer:
    """The key of ``user``, made at ``created`` (seconds since the epoch), as are all its signatures."""

    def __init__(self, user: str, created: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(user.encode()).digest())
        self._user = user.encode()
        self._created = created.to_bytes(4)
        # The point is written as it is, behind 0x40 (RFC 9580 section 11.2.2).
        point = b"\x40" + self._key.public_key().public_bytes_raw()
        self._public = b"\x04" + self._created + bytes([_EDDSA, len(_ED25519)]) + _ED25519 + _integer(point)
        hashed = b"\x99" + len(self._public).to_bytes(2) + self._public
        self._fingerprint = hashlib.sha1(hashed, usedforsecurity=False).digest()

    @property
    def keyring(self) -> bytes:
        """The public key with its user, as gpgv and apt's ``signed-by`` take it."""
        of_user = (
            b"\x99" + len(self._public).to_bytes(2) + self._public
            + b"\xb4" + len(self._user).to_bytes(4) + self._user
        )  # fmt: skip
        flags = _subpacket(_KEY_FLAGS, _CERTIFIES_AND_SIGNS)
        return (
            _packet(_PUBLIC_KEY, self._public)
            + _packet(_USER_ID, self._user)
            + self._signature(_OF_USER, of_user, flags)
        )

    def clearsigned(self, text: str) -> str:
        """``text`` within its signature (RFC 4880 section 7). No line may begin with a dash or end with a
        space."""
        lines = text.rstrip("\n").split("\n")
        signature = self._signature(_OF_TEXT, "\r\n".join(lines).encode())
        coded = base64.encodebytes(signature).decode()
        return (
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
            + "\n".join(lines)
            + f"\n-----BEGIN PGP SIGNATURE-----\n\n{coded}-----END PGP SIGNATURE-----\n"
        )

    def _signature(self, kind: int, signed: bytes, more: bytes = b"") -> bytes:
        """Version 4 (RFC 4880 section 5.2.3)."""
        subpackets = (
            _subpacket(_CREATED, self._created)
            + _subpacket(_ISSUER_FINGERPRINT, b"\x04" + self._fingerprint)
            + more
        )
        head = bytes([4, kind, _EDDSA, _SHA256]) + len(subpackets).to_bytes(2) + subpackets
        digest = hashlib.sha256(signed + head + b"\x04\xff" + len(head).to_bytes(4)).digest()
        proof = self._key.sign(digest)
        issuer = _subpacket(_ISSUER, self._fingerprint[-8:])
        return _packet(
            _SIGNATURE,
            head
            + len(issuer).to_bytes(2)
            + issuer
            + digest[:2]
            + _integer(proof[:32])
            + _integer(proof[32:]),
        )


def _packet(tag: int, body: bytes) -> bytes:
    """With a length of one or two octets (RFC 4880 section 4.2.2)."""
    size = len(body)
    length = bytes([size]) if size < 192 else (size - 192 + 0xC000).to_bytes(2)
    return bytes([0xC0 | tag]) + length + body


def _subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def _integer(octets: bytes) -> bytes:
    """A multiprecision integer: its bits are counted from the highest that is set (section 3.2)."""
    value = int.from_bytes(octets)
    return value.bit_length().to_bytes(2) + value.to_bytes((value.bit_length() + 7) // 8)
