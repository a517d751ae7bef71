"""How much of each capture goes into the page.

A report must stay light enough to mail and to open at once. Failures are served first and share what
there is; a capture that does not fit whole is cut to less of each frame, down to the headers. The page
says so, and the whole file stays beside the journal.
"""

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from guestnet.journal import pcapng
from guestnet.journal.capture import CAPTURE, HEADERS, Record
from guestnet.report.embed import LEVEL
from guestnet.report.evidence import Evidence

_STEPS: Final = (1024, 512, 256, HEADERS)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one report."""

    captures: int = 21 << 19
    """Octets of deflated captures in the page; base64 adds a third."""
    passed: int = 4 << 20
    """As many of them at most for scenarios that did not fail: a green run stays light."""
    snap: int | None = None
    """Octets kept of each frame at most; None: as much as fits."""
    packets: int = 20_000
    """Rows of one scenario's packet list: of a longer capture, the beginning and the end."""


class Embedded(msgspec.Struct, frozen=True):
    """A capture for the page: ``block`` is its data block; ``snap`` is None when it is the whole file."""

    block: str
    snap: int | None


def embed(evidence: Evidence, folder: Path, allowance: int, snap: int | None) -> Embedded:
    """As much of the capture as ``allowance`` octets hold, deflated; its headers in any case."""
    if snap is None and not evidence.left_out and evidence.capture_size <= 8 * allowance:
        octets = _read(folder / CAPTURE)
        packed = zlib.compress(octets, LEVEL)
        if len(packed) <= allowance:
            return Embedded(_text(packed), None)
    largest = max((len(record.data) for record in evidence.records), default=0)
    limits = [limit for limit in (snap or largest, *_STEPS) if limit <= (snap or largest)] or [
        snap or HEADERS
    ]
    for limit in limits:
        octets = cut(evidence.records, evidence.links, limit)
        if len(octets) > 8 * allowance and limit != limits[-1]:
            continue
        packed = zlib.compress(octets, LEVEL)
        if len(packed) <= allowance or limit == limits[-1]:
            return Embedded(_text(packed), limit)
    raise AssertionError("the last limit always returns")


def cut(records: Sequence[Record], links: Sequence[str], snap: int) -> bytes:
    """``records`` as a pcapng file that keeps ``snap`` octets of each frame."""
    numbers = {link: index for index, link in enumerate(links)}
    comment = f"guestnet report: at most {snap} octets of each frame"
    pieces = [pcapng.section(pcapng.Section(application="guestnet", comment=comment))]
    pieces += [pcapng.interface(pcapng.Interface(name=link, snaplen=snap)) for link in links]
    for record in records:
        kept = pcapng.Packet(
            numbers[record.link],
            record.at,
            record.data[:snap],
            record.wire_length,
            record.direction,
            record.comment,
        )
        pieces.append(pcapng.packet(kept))
    return b"".join(pieces)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _text(packed: bytes) -> str:
    return base64.b64encode(packed).decode()
