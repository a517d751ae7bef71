"""A Debian kernel made ready to boot fast: the plain ELF image and the modules in load order.

QEMU enters an uncompressed ELF kernel that has a PVH note directly in 32-bit protected mode, which saves the
kernel's own decompression: about 0.2 s under TCG. Sources: Linux Documentation/arch/x86/boot.rst
(payload_offset, payload_length), include/xen/interface/hvm/start_info.h.
"""

import gzip
import lzma
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import elf
from guestnet.system.programs import require

_SETUP_SECTORS: Final = 0x1F1
_PAYLOAD: Final = 0x248
_LZ4_LEGACY: Final = bytes.fromhex("02214c18")
_ZSTD: Final = bytes.fromhex("28b52ffd")
_XZ: Final = bytes.fromhex("fd377a58")
_GZIP: Final = bytes.fromhex("1f8b")
_MODULE_FOLDERS: Final = ("lib/modules", "usr/lib/modules")
"""Of packages for a system without and with a merged /usr: Debian up to 12, and since."""


class Module(msgspec.Struct, frozen=True):
    """A module as it is loaded: uncompressed. ``name`` as its file has it, without ``.ko``."""

    name: str
    content: bytes


def uncompressed(image: bytes) -> bytes:
    """The ELF image inside a bzImage, or the bzImage itself when its compression is unknown.

    Raises EnvironmentMissing when the program that decompresses it is not installed.
    """
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (image[_SETUP_SECTORS] + 1) * 512 + offset
    # The last four bytes are the size of the uncompressed image, not part of the stream.
    return _decompressed(image[start : start + length - 4]) or image


def find_modules(files: Path) -> dict[str, Path]:
    """The modules of the kernel whose packages were unpacked to ``files``, by name, with ``_`` for ``-``."""
    return {_name(path).replace("-", "_"): path for path in _below_modules(files, "*.ko*")}


def load_order(files: Path, wanted: Iterable[str]) -> list[Module]:
    """The modules ``wanted`` of the kernel unpacked to ``files``, each after the ones it depends on.

    A module that is built into this kernel has no file and is left out. Raises EnvironmentMissing for one
    that is neither, or whose compression is unknown.
    """
    available = find_modules(files)
    builtin = {
        _name(Path(line)).replace("-", "_")
        for path in _below_modules(files, "modules.builtin")
        for line in path.read_text().splitlines()
    }
    order: dict[str, Module] = {}

    def add(name: str) -> None:
        if name in order or name in builtin:
            return
        if name not in available:
            raise EnvironmentMissing(
                f"this kernel has no module {name}", remedy="correct [kernel] in the image's recipe"
            )
        module = _read(available[name])
        for dependency in elf.module_depends(module.content):
            add(dependency)
        order[name] = module

    for name in wanted:
        add(name.replace("-", "_"))
    return list(order.values())


def _below_modules(files: Path, pattern: str) -> Iterator[Path]:
    for folder in _MODULE_FOLDERS:
        yield from (files / folder).rglob(pattern)


def _name(path: Path) -> str:
    return path.name.partition(".ko")[0]


def _read(path: Path) -> Module:
    data = path.read_bytes()
    content = data if data.startswith(elf.MAGIC) else _decompressed(data)
    if content is None:
        raise EnvironmentMissing(
            f"the module {path.name} is compressed in a way that is not known",
            remedy="name another kernel in [packages] of the image's recipe",
        )
    return Module(_name(path), content)


def _decompressed(data: bytes) -> bytes | None:
    """What ``data`` was before its compression; None when that is unknown."""
    if data.startswith(_LZ4_LEGACY):
        return _through(["lz4", "-d", "-c"], data)
    if data.startswith(_ZSTD):
        return _through(["zstd", "-d", "-c", "-q"], data)
    if data.startswith(_XZ):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(_GZIP):
        return gzip.decompress(data)
    return None


def _through(command: list[str], data: bytes) -> bytes:
    require(command[0])
    try:
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        raise EnvironmentMissing(
            f"{command[0]} can't unpack the kernel: {error.stderr.decode(errors='replace').strip()}",
            remedy="build the image again; if it fails again, report it with the kernel's version",
        ) from error
