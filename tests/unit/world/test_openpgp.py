"""Signatures of the package repository, as the program that apt asks sees them."""

import subprocess
from pathlib import Path

import pytest

from guestnet.system.programs import require
from guestnet.world.servers import packages
from guestnet.world.servers.openpgp import Signer

CREATED = 1_750_000_000
TEXT = "Origin: guestnet\nSuite: stable\n"


def verify(folder: Path, keyring: bytes, signed: str) -> "subprocess.CompletedProcess[str]":
    keyring_file, signed_file = folder / "keyring.gpg", folder / "signed"
    command: list[str | Path] = [require("gpgv"), "--keyring", keyring_file, "--output", "-", signed_file]
    keyring_file.write_bytes(keyring)
    signed_file.write_text(signed)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("lines", [1, 2, 60])
def test_what_was_signed_is_verified_and_comes_out(tmp_path: Path, lines: int) -> None:
    signer = Signer("somebody <somebody@example.org>", CREATED)
    text = TEXT * lines
    said = verify(tmp_path, signer.keyring, signer.clearsigned(text))

    assert said.returncode == 0, said.stderr
    assert 'Good signature from "somebody <somebody@example.org>"' in said.stderr
    assert said.stdout == text


def test_a_changed_text_and_another_key_are_found_out(tmp_path: Path) -> None:
    signer = Signer("somebody", CREATED)
    signed = signer.clearsigned(TEXT)

    changed = verify(tmp_path, signer.keyring, signed.replace("stable", "unstable"))
    assert changed.returncode != 0
    assert "BAD signature" in changed.stderr
    other = verify(tmp_path, Signer("somebody else", CREATED).keyring, signed)
    assert other.returncode != 0
    assert "No public key" in other.stderr


def test_a_release_is_signed_by_the_key_that_the_repository_shows(tmp_path: Path) -> None:
    tree = packages.tree()
    said = verify(tmp_path, tree[packages.KEYRING], tree["dists/stable/InRelease"].decode())

    assert said.returncode == 0, said.stderr
    assert said.stdout == tree["dists/stable/Release"].decode()
