import errno
from pathlib import Path

import pytest

from guestnet.lab.process.enter import remedy


@pytest.mark.parametrize(
    ("name", "value", "command"),
    [
        ("kernel/unprivileged_userns_clone", "0\n", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user/max_user_namespaces", "0\n", "sysctl -w user.max_user_namespaces=15000"),
    ],
)
def test_the_switch_that_forbids_namespaces_is_named(
    tmp_path: Path, name: str, value: str, command: str
) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(value)

    assert remedy(OSError(errno.EPERM, "no"), tmp_path).endswith(command)


def test_a_full_limit_is_named(tmp_path: Path) -> None:
    assert "max_user_namespaces" in remedy(OSError(errno.ENOSPC, "no"), tmp_path)
