"""What package managers and container engines meet at a captive portal: pages that are no packages."""

import hashlib
import json

import pytest

from harness.scenario import Lab
from harness.scenario.results import Ran

pytestmark = pytest.mark.lab(profile="hotel-wifi")

# What apt does, in the words of sh: Release, then the index that it describes, then a package by the index.
INSTALL = r"""
fetch() { curl --silent --show-error --fail --location --max-time 10 "http://deb.example/$1"; }
sum() { sha256sum | cut -d' ' -f1; }
die() { echo "$1" >&2; exit 2; }
cd "$(mktemp -d)" || exit 9
fetch dists/stable/Release >Release || exit 1
grep -q '^Origin: ' Release || die "This is no release: does the network require authentication?"
fetch dists/stable/main/binary-amd64/Packages >Packages || exit 3
grep -q "^ $(sum <Packages) " Release || die "Hash Sum mismatch of the index"
path=$(grep -A9 '^Package: hello$' Packages | sed -n 's/^Filename: //p' | head -n1)
fetch "$path" >hello.deb || exit 5
grep -q "^SHA256: $(sum <hello.deb)$" Packages || die "Hash Sum mismatch of the package"
"""


def install(lab: Lab) -> Ran:
    return lab.guest.run(["sh", "-s"], input=INSTALL)


def test_a_package_manager_gets_the_portals_page_for_a_release(lab: Lab) -> None:
    """Status 200 and nothing is wrong, until one looks at it; after the login the hashes fit."""
    before = install(lab)
    assert before.status == 2
    assert "does the network require authentication?" in before.stderr
    lab.portal.login()
    assert install(lab).status == 0


def test_a_pull_fails_at_tls_before_the_login_and_is_whole_after_it(lab: Lab) -> None:
    """A registry is asked by TLS only: no redirect ever reaches the client, it must say what it sees."""
    lab.guest.trust(lab.ca)
    base = "https://registry.example/v2/"
    assert "curl: (7)" in lab.guest.fetch(base).error
    lab.portal.set(tls="certificate")
    assert "no alternative certificate subject name" in lab.guest.fetch(base).error
    lab.portal.login()
    assert lab.guest.fetch(base).ok
    manifest = json.loads(lab.guest.fetch(f"{base}library/hello/manifests/latest").body)
    (layer,) = manifest["layers"]
    blob = lab.guest.fetch(f"{base}library/hello/blobs/{layer['digest']}").body
    assert layer["digest"] == f"sha256:{hashlib.sha256(blob).hexdigest()}"
