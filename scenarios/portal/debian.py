"""apt in a guest, with the package repository of the world as its only source."""

from guestnet.scenario import Guest
from guestnet.scenario.results import Ran
from guestnet.world.servers.packages import KEYRING, tree

SITE = "http://deb.example"
_KEY = "/etc/apt/keyrings/deb.example.gpg"
# By itself it tries for minutes.
_SOON = "-o Acquire::Retries=0 -o Acquire::http::Timeout=2 -o Acquire::https::Timeout=2"


def use_repository(guest: Guest, site: str = SITE) -> None:
    """Make ``site`` what apt knows, and trust the repository's key."""
    guest.write_file(_KEY, tree()[KEYRING])
    guest.write_file("/etc/apt/sources.list", f"deb [signed-by={_KEY}] {site} stable main\n")


def apt(guest: Guest, words: str, *, environment: str = "", patient: bool = True) -> Ran:
    """Run apt-get; one that is not ``patient`` waits two seconds and tries once."""
    return guest.run(f"{environment} apt-get -q {'' if patient else _SOON} {words}", timeout=120)
