"""Unpacking a kernel image and ordering its modules, on ones made here."""

import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import elf, kernel
from guestnet.system.programs import SYSTEM_PATH

SETUP_SECTORS = 3
PLAIN = b"\x7fELF and the rest of the kernel"


def boot_image(payload: bytes) -> bytes:
    """A bzImage of setup code, ``payload`` and its uncompressed size."""
    head = bytearray((SETUP_SECTORS + 1) * 512)
    head[0x1F1] = SETUP_SECTORS
    struct.pack_into("<II", head, 0x248, 16, len(payload) + 4)
    return bytes(head) + bytes(16) + payload + struct.pack("<I", len(PLAIN)) + b"after"


def module(depends: str) -> bytes:
    """An ELF file with nothing but ``.modinfo`` and the names of sections."""
    info = b"license=GPL\0depends=" + depends.encode() + b"\0name=x\0"
    names = b"\0.modinfo\0.shstrtab\0"
    start = 64
    sections = [
        (0, 0, 0, 0, 0, 0),
        (1, 1, 0, 0, start, len(info)),
        (10, 3, 0, 0, start + len(info), len(names)),
    ]
    table = b"".join(struct.pack("<IIQQQQIIQQ", *section, 0, 0, 1, 0) for section in sections)
    header = elf.MAGIC + b"\x02\x01" + bytes(10) + struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, start + len(info) + len(names), 0, 64, 0, 0, 64, len(sections), 2
    )  # fmt: skip
    return header + info + names + table


def write_modules(files: Path, **depends: str) -> Path:
    """As a kernel's package of Debian 12 has them; their folder."""
    folder = files / "lib" / "modules" / "6.1"
    (folder / "kernel").mkdir(parents=True)
    for name, others in depends.items():
        (folder / "kernel" / f"{name}.ko").write_bytes(module(others))
    (folder / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    return folder


def test_the_kernel_inside_is_found() -> None:
    assert kernel.uncompressed(boot_image(gzip.compress(PLAIN))) == PLAIN


def test_an_unknown_compression_leaves_the_image_as_it_is() -> None:
    image = boot_image(b"what is this")
    assert kernel.uncompressed(image) == image


def test_a_missing_decompressor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(SYSTEM_PATH, "")
    with pytest.raises(EnvironmentMissing, match=r"lz4 is not installed \(it unpacks kernels\): .*lz4"):
        kernel.uncompressed(boot_image(bytes.fromhex("02214c18")))


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    write_modules(
        tmp_path, virtio_net="virtio_ring,net_failover", net_failover="failover", failover="", virtio_ring=""
    )

    order = [one.name for one in kernel.load_order(tmp_path, ["virtio-net", "ext4", "failover"])]

    assert order == ["virtio_ring", "failover", "net_failover", "virtio_net"]


@pytest.mark.parametrize(("suffix", "compress"), [(".xz", lzma.compress), (".gz", gzip.compress)])
def test_compressed_modules_of_a_merged_usr_are_given_as_they_are_loaded(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    folder = write_modules(tmp_path, tun="", **{"virtio-rng": "virtio"}, virtio="")
    for path in (folder / "kernel").iterdir():
        path.with_name(path.name + suffix).write_bytes(compress(path.read_bytes()))
        path.unlink()
    (tmp_path / "usr").mkdir()
    (tmp_path / "lib").rename(tmp_path / "usr" / "lib")

    order = kernel.load_order(tmp_path, ["virtio_rng", "ext4"])

    assert order == [kernel.Module("virtio", module("")), kernel.Module("virtio-rng", module("virtio"))]
    assert set(kernel.find_modules(tmp_path)) == {"tun", "virtio", "virtio_rng"}


def test_a_module_of_an_unknown_compression_is_told(tmp_path: Path) -> None:
    (write_modules(tmp_path) / "tun.ko.br").write_bytes(b"brotli")
    with pytest.raises(EnvironmentMissing, match=r"tun\.ko\.br is compressed in a way that is not known"):
        kernel.load_order(tmp_path, ["tun"])


def test_a_module_that_is_nowhere_is_told(tmp_path: Path) -> None:
    write_modules(tmp_path, a="")
    with pytest.raises(EnvironmentMissing, match="no module wireguard"):
        kernel.load_order(tmp_path, ["wireguard"])


def test_a_program_names_its_loader_and_libraries() -> None:
    wanted = elf.needs(Path("/bin/sh").read_bytes())

    assert wanted.interpreter.startswith("/lib")
    assert any(name.startswith("libc.so") for name in wanted.libraries)
    assert elf.needs(b"#!/bin/sh\n") == elf.Needs("", ())
