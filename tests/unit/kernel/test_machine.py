"""What can be said about the machine of another kernel without booting it."""

import ast
import json
import sys
from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import kernel
from tests.kernel import inside, machine

BUILT = machine.Built("6.1 (Debian 6.1)", Path("/k/kernel"), Path("/k/initramfs"))


def test_patterns_are_filled_in_from_what_there_is() -> None:
    available = ["nft_ct", "nft_compat", "sch_netem", "snd", "sch_cake"]
    chosen = machine.choose(available, ["veth", "sch_*", "nft_*"], ["nft_compat"])
    assert chosen == ["veth", "sch_cake", "sch_netem", "nft_ct"]


def test_a_pattern_without_a_match_adds_nothing() -> None:
    assert machine.choose(["nft_ct"], ["sch_*"], []) == []


def test_the_initramfs_lists_modules_in_the_order_of_loading() -> None:
    modules = [kernel.Module("b", b"bbb"), kernel.Module("a", b"aaa")]
    archive = machine.initramfs(b"the init", b"the busybox", modules)
    assert b"b\na\n" in archive
    for content in (b"the init", b"the busybox", b"bbb", b"aaa", b"modules/a.ko\0"):
        assert content in archive


@pytest.mark.parametrize("status", [0, 1, 5, inside.NOT_RUN, inside.HIGHEST_STATUS])
def test_the_status_comes_through(status: int) -> None:
    # isa-debug-exit: twice the octet, plus one.
    assert machine.exit_status((status + 1) << 1 | 1) == status


@pytest.mark.parametrize("code", [0, 1, 2, 130, -9])
def test_an_end_of_qemu_itself_is_no_status(code: int) -> None:
    assert machine.exit_status(code) is None


def test_the_machine_has_no_network_and_may_not_write_here() -> None:
    words = machine.command(Path("/bin/qemu"), BUILT, 512, Path("/t/order.json"), Path("/t/console"))
    assert "-nodefaults" in words
    assert not [word for word in words if word.startswith(("-net", "-nic", "virtio-net", "e1000"))]
    (share,) = [word for word in words if "mount_tag=" in word]
    assert "readonly=on" in share.split(",")
    kernel_words = words[words.index("-append") + 1].split()
    assert f"inside.python={sys.executable}" in kernel_words
    assert "inside.order=/t/order.json" in kernel_words


def test_the_order_is_of_the_caller_in_his_surroundings() -> None:
    ordered = json.loads(
        machine.order(["true"], Path("/checkout"), {"A": "b", "TMPDIR": "/gone"}, [Path("/checkout")])
    )
    assert ordered["command"] == ["true"]
    assert ordered["folder"] == "/checkout"
    assert ordered["environment"] == {"A": "b"}
    assert ordered["keep"] == ["/checkout"]


def test_a_machine_that_can_not_boot_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentMissing, match="qemu-system-x86_64 is not installed"):
        machine.run(BUILT, b"{}", 512, 1.0)


def test_what_runs_inside_needs_only_the_interpreter() -> None:
    tree = ast.parse(Path(inside.__file__).read_text())
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert names <= sys.stdlib_module_names
