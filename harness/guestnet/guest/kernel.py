"""A Debian kernel made ready to boot fast: the plain ELF image and the modules in load order.

QEMU enters an uncompressed ELF kernel that has a PVH note directly in 32-bit protected mode, which saves the
kernel's own decompression: about 0.2 s under TCG. Sources: Linux Documentation/arch/x86/boot.rst
(payload_offset, payload_length), include/xen/interface/hvm/start_info.h.
"""

import gzip
import lzma
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import elf

_SETUP_SECTORS: Final = 0x1F1
_PAYLOAD: Final = 0x248
_LZ4_LEGACY: Final = bytes.fromhex("02214c18")
_ZSTD: Final = bytes.fromhex("28b52ffd")
_XZ: Final = bytes.fromhex("fd377a58")
_GZIP: Final = bytes.fromhex("1f8b")


def uncompressed(image: bytes) -> bytes:
    """The ELF image inside a bzImage, or the bzImage itself when its compression is unknown.

    Raises EnvironmentMissing when the program that decompresses it is not installed.
    """
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (image[_SETUP_SECTORS] + 1) * 512 + offset
    # The last four bytes are the size of the uncompressed image, not part of the stream.
    payload = image[start : start + length - 4]
    if payload.startswith(_LZ4_LEGACY):
        return _through(["lz4", "-d", "-c"], payload)
    if payload.startswith(_ZSTD):
        return _through(["zstd", "-d", "-c", "-q"], payload)
    if payload.startswith(_XZ):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(_GZIP):
        return gzip.decompress(payload)
    return image


def load_order(folder: Path, wanted: Iterable[str]) -> list[Path]:
    """The files of the modules ``wanted`` below ``folder``, each after the ones it depends on.

    A module that is built into this kernel has no file and is left out. Raises EnvironmentMissing for one
    that is neither.
    """
    available = {path.name.removesuffix(".ko").replace("-", "_"): path for path in folder.rglob("*.ko")}
    builtin = {
        Path(line).name.removesuffix(".ko").replace("-", "_")
        for path in folder.rglob("modules.builtin")
        for line in path.read_text().splitlines()
    }
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in order or name in builtin:
            return
        if name not in available:
            raise EnvironmentMissing(
                f"this kernel has no module {name}", remedy="correct [kernel] in the image's recipe"
            )
        for dependency in elf.module_depends(available[name].read_bytes()):
            add(dependency)
        order[name] = available[name]

    for name in wanted:
        add(name.replace("-", "_"))
    return list(order.values())


def _through(command: list[str], data: bytes) -> bytes:
    try:
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise EnvironmentMissing(
            f"{command[0]} is needed to unpack the guest's kernel",
            remedy=f"sudo apt-get install {command[0]}",
        ) from None
    except subprocess.CalledProcessError as error:
        raise EnvironmentMissing(
            f"{command[0]} can't unpack the kernel: {error.stderr.decode(errors='replace').strip()}",
            remedy="build the image again; if it fails again, report it with the kernel's version",
        ) from error
