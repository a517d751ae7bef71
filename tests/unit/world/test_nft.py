import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guestnet.core.errors import LabError
from guestnet.system import nft as system_nft
from guestnet.world.kernel import nft
from guestnet.world.kernel.namespaces import Namespaces


class Here(Namespaces):
    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        yield


def test_an_nft_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(words: list[str], *, timeout: float, **given: object) -> None:
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(system_nft, "require", Path)
    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(LabError, match="nft took more than 10 s over the rules of ap"):
        nft.load(Here(), "ap", "table inet x", what="the rules of ap")
