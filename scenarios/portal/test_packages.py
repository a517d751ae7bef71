"""What package managers and container engines meet at a captive portal: pages that are no packages."""

import hashlib
import json

import pytest

from guestnet.scenario import Lab
from guestnet.world.described.portal import BlockedTls
from scenarios.portal.debian import SITE, apt, use_repository

pytestmark = pytest.mark.lab(profile="hotel-wifi")

TLS: tuple[tuple[BlockedTls, str], ...] = (
    ("reset", "connect (111: Connection refused)"),
    ("silence", "connection timed out"),
    ("prohibit", "connect (113: No route to host)"),
    ("certificate", "The name in the certificate does not match the expected."),
)
AUTHENTICATION = "Clearsigned file isn't valid, got 'NOSPLIT' (does the network require authentication?)"


def test_apt_gets_the_portals_page_for_a_release_and_installs_after_the_login(lab: Lab) -> None:
    """Status 200 and nothing is wrong, until apt looks for the signature."""
    guest = lab.guest
    use_repository(guest)
    with lab.step("before the login"):
        before = apt(guest, "update")
        assert before.status == 100
        assert f"{SITE}/dists/stable/InRelease  {AUTHENTICATION}" in before.stderr
    lab.portal.login()
    with lab.step("after the login"):
        assert apt(guest, "update").stderr == ""
        assert "Setting up hello (1.0-1)" in apt(guest, "install hello").stdout
        assert guest.run("hello", check=True).stdout == "Hello, world.\n"


@pytest.mark.lab(guest="netns")
def test_apt_has_a_message_for_every_kind_of_portal(lab: Lab) -> None:
    """Status 511 (RFC 6585) names the cause; a session that ends between two requests changes sizes."""
    guest, portal = lab.guest, lab.portal
    use_repository(guest)
    for forge in (True, False):
        portal.set(redirect=200, forge=forge)
        assert AUTHENTICATION in apt(guest, "update").stderr
    portal.set(redirect=511)
    update = apt(guest, "update")
    assert update.status == 100
    assert "511  Network Authentication Required" in update.stderr

    portal.set(redirect=302)
    portal.login()
    assert apt(guest, "update").stderr == ""
    portal.expire()
    install = apt(guest, "install data")
    assert install.status == 100
    assert "E: Failed to fetch http://portal.hotel.example/?url=http%3A%2F%2Fdeb.example" in install.stderr
    assert "File has unexpected size" in install.stderr

    # These might pass, says apt: it warns, goes on with what it has, and ends well.
    use_repository(guest, "https://deb.example")
    guest.trust(lab.ca)
    for tls, said in TLS:
        portal.set(tls=tls)
        update = apt(guest, "update", patient=False)
        assert update.status == 0
        assert said in update.stderr
        assert "W: Some index files failed to download." in update.stderr


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
    assert manifest["layers"]
    for layer in manifest["layers"]:
        blob = lab.guest.fetch(f"{base}library/hello/blobs/{layer['digest']}").body
        assert layer["digest"] == f"sha256:{hashlib.sha256(blob).hexdigest()}"
