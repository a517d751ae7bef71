"""Builds a guest image: three files (kernel, initramfs, root filesystem) from Debian packages and a recipe.

The same packages and the same recipe give the same bytes on any machine and at any time: every time stamp is
0, every owner root, every order sorted, and modes come from rules, not from the builder's umask.
"""

import hashlib
import os
import platform
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import cpio, elf, kernel
from guestnet.guest.cache import Cache, says_disk_full
from guestnet.guest.packages import Apt, Package, Progress
from guestnet.guest.recipe import Recipe, files, is_script
from guestnet.system import programs

KERNEL: Final = "kernel"
INITRAMFS: Final = "initramfs"
ROOT: Final = "root.squashfs"
_MODULES: Final = "/usr/lib/modules/guest"
_LIBRARY_FOLDERS: Final = ("/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/lib64")
_MERGED: Final = ("bin", "sbin", "lib", "lib64")
_PRIVATE: Final = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "etc/shadow": 0o600}


def check_tools() -> None:
    """Raises EnvironmentMissing when this machine can't build images."""
    if platform.machine() != "x86_64":
        raise EnvironmentMissing(
            f"images are built on x86_64, not on {platform.machine()}",
            remedy="build it there and copy the cache",
        )
    for program in programs.table().values():
        if "images" in program.needed_by:
            programs.require(program.name)


class Built(msgspec.Struct, frozen=True):
    """What an image was built of: the packages, and the point release that they are from."""

    version: str
    packages: list[Package]


class Build:
    """One build of ``recipe`` in ``folder``, which holds the three files afterwards."""

    def __init__(
        self, recipe: Recipe, folder: Path, cache: Cache, progress: Progress, *, mirror: str = ""
    ) -> None:
        """``mirror`` as of `Apt.update`."""
        self._recipe = recipe
        self._mirror = mirror
        self._folder = folder
        self._work = folder / "work"
        self._cache = cache
        self._progress = progress
        self._where: dict[str, Path] = {}

    def run(self) -> Built:
        """Build it. Raises EnvironmentMissing."""
        check_tools()
        self._work.mkdir()
        built = self._fetch()
        self._index(self._work / "files")
        self._progress("laying out the root filesystem", 0, 3)
        self._make_kernel()
        self._make_initramfs()
        self._progress("laying out the root filesystem", 1, 3)
        root = self._work / "root"
        self._lay_out(root)
        self._progress("laying out the root filesystem", 2, 3)
        self._squash(root)
        shutil.rmtree(self._work)
        self._progress("laying out the root filesystem", 3, 3)
        return built

    def _fetch(self) -> Built:
        wanted = self._recipe.packages
        apt = Apt(self._work / "apt", self._cache, self._recipe.release)
        self._progress("asking apt for packages", 0, 2)
        archive = apt.update(self._mirror)
        self._progress("asking apt for packages", 1, 2)
        packages = apt.resolve([wanted.kernel, *wanted.install], wanted.leave_out)
        self._progress("asking apt for packages", 2, 2)
        store = self._cache.folder / "packages"
        store.mkdir(parents=True, exist_ok=True)
        with self._cache.lock("packages"):
            apt.download(packages, store, self._progress)
            apt.unpack(packages, store, self._work / "files", self._progress)
        return Built(archive.version, packages)

    def _index(self, unpacked: Path) -> None:
        """Where each file is, by the path it has on a system with a merged /usr."""
        for folder, _, names in os.walk(unpacked):
            inside = PurePosixPath("/") / Path(folder).relative_to(unpacked)
            for name in names:
                self._where[_merged(str(inside / name))] = Path(folder) / name

    def _make_kernel(self) -> None:
        images = [path for name, path in self._where.items() if name.startswith("/boot/vmlinuz-")]
        if len(images) != 1:
            raise EnvironmentMissing(
                f"the packages hold {len(images)} kernels",
                remedy="name one in [packages] kernel of the recipe",
            )
        (self._folder / KERNEL).write_bytes(kernel.uncompressed(images[0].read_bytes()))

    def _make_initramfs(self) -> None:
        early = kernel.load_order(self._work / "files", self._recipe.kernel.early_modules)
        folders = ["bin", "dev", "lower", "modules", "proc", "root", "writable"]
        entries = [cpio.Entry(folder, cpio.DIRECTORY) for folder in folders]
        # The kernel opens it as the first process's output before anything is mounted.
        entries.append(cpio.Entry("dev/console", cpio.CHARACTER_DEVICE, device=(5, 1)))
        entries.append(
            cpio.Entry("bin/busybox", cpio.EXECUTABLE, self._file("/usr/bin/busybox").read_bytes())
        )
        entries.append(cpio.Entry("modules/order", cpio.FILE, _order(early)))
        entries += [cpio.Entry(f"modules/{one.name}.ko", cpio.FILE, one.content) for one in early]
        for name, content in files(self._recipe.folder / "initramfs"):
            entries.append(cpio.Entry(name, cpio.EXECUTABLE if is_script(content) else cpio.FILE, content))
        (self._folder / INITRAMFS).write_bytes(cpio.archive(entries))

    def _lay_out(self, root: Path) -> None:
        root.mkdir()
        chosen = self._chosen()
        for name in sorted(chosen):
            _copy(chosen[name], root / name[1:])
        for module in (late := self._late_modules()):
            _write(root / _MODULES[1:] / f"{module.name}.ko", module.content)
        _write(root / _MODULES[1:] / "order", _order(late))
        for name, content in files(self._recipe.folder / "root"):
            _write(root / name, content)
        for folder in self._recipe.root.directories:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for name, target in self._recipe.root.links.items():
            _link(root / name[1:], target)
        if self._recipe.root.busybox_applets:
            self._link_applets(root)
        _fix_modes(root)

    def _chosen(self) -> dict[str, Path]:
        """Files for the root filesystem by path: those the recipe includes and the libraries they need."""
        chosen: dict[str, Path] = {}
        pending: list[str] = []
        for pattern in self._recipe.root.include:
            matching = [name for name in self._where if _matches(name, pattern)]
            if not matching:
                raise EnvironmentMissing(
                    f"no package has {pattern}",
                    remedy=f"correct [root] include in {self._recipe.folder}/image.toml",
                )
            pending += sorted(matching)
        while pending:
            name = pending.pop()
            if name in chosen:
                continue
            chosen[name] = path = self._where[name]
            if path.is_symlink():
                target = _merged(os.path.normpath(str(PurePosixPath(name).parent / path.readlink())))
                if target in self._where:
                    pending.append(target)
                continue
            wanted = elf.needs(path.read_bytes())
            pending += [self._library(soname, name) for soname in wanted.libraries]
            if wanted.interpreter:
                pending.append(_merged(wanted.interpreter))
        return chosen

    def _library(self, soname: str, wanted_by: str) -> str:
        for folder in _LIBRARY_FOLDERS:
            if f"{folder}/{soname}" in self._where:
                return f"{folder}/{soname}"
        raise EnvironmentMissing(
            f"{wanted_by} needs the library {soname}, which no package of the image has",
            remedy=f"take its package out of leave_out in {self._recipe.folder}/image.toml",
        )

    def _link_applets(self, root: Path) -> None:
        busybox = self._file("/usr/bin/busybox")
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
        for applet in listed.split():
            if not any((root / folder / applet).exists() for folder in ("usr/bin", "usr/sbin")):
                _link(root / "usr/bin" / applet, "busybox")

    def _squash(self, root: Path) -> None:
        # Not compressed: the guest reads it through a decompressor that TCG would make slow.
        command = [
            "mksquashfs", str(root), str(self._folder / ROOT),
            "-all-root", "-all-time", "0", "-mkfs-time", "0",
            "-noI", "-noD", "-noF", "-noX", "-no-xattrs", "-no-progress", "-quiet",
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        said = (result.stdout + result.stderr).strip()
        if says_disk_full(said):
            raise self._cache.full("build an image")
        if result.returncode != 0:
            raise EnvironmentMissing(
                f"mksquashfs failed: {said[-300:]}", remedy="check that squashfs-tools is 4.4 or newer"
            )

    def _late_modules(self) -> list[kernel.Module]:
        """Those of the root filesystem: the initramfs has loaded the others."""
        described, files = self._recipe.kernel, self._work / "files"
        every = kernel.load_order(files, (*described.early_modules, *described.modules))
        return every[len(kernel.load_order(files, described.early_modules)) :]

    def _file(self, name: str) -> Path:
        if name not in self._where:
            raise EnvironmentMissing(
                f"no package has {name}", remedy=f"add it to [packages] in {self._recipe.folder}/image.toml"
            )
        return self._where[name]


def digest_of(folder: Path) -> str:
    """Hex SHA-256 over the three files of an image."""
    digest = hashlib.sha256()
    for name in (KERNEL, INITRAMFS, ROOT):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _order(modules: Iterable[kernel.Module]) -> bytes:
    return "".join(f"{module.name}\n" for module in modules).encode()


def _merged(path: str) -> str:
    first = path.split("/", 2)[1]
    return f"/usr{path}" if first in _MERGED else path


def _matches(name: str, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return name.startswith(pattern.removesuffix("**"))
    return PurePosixPath(name).match(pattern)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        _link(target, str(source.readlink()))
        return
    shutil.copyfile(source, target)
    executable = source.stat().st_mode & stat.S_IXUSR
    target.chmod(0o755 if executable else 0o644)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(content)
    target.chmod(0o755 if is_script(content) else 0o644)


def _link(place: Path, target: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def _fix_modes(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
    for name, mode in _PRIVATE.items():
        if (root / name).exists():
            (root / name).chmod(mode)
