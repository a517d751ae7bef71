"""nftables rulesets (nft(8)) in the namespaces of hosts."""

from guestnet.system import nft
from guestnet.world.kernel.namespaces import Namespaces


def load(namespaces: Namespaces, host: str, ruleset: str, *, what: str, remedy: str = nft.MODPROBE) -> None:
    """Add ``ruleset`` to the tables of ``host`` as `guestnet.system.nft.load` does, and raise what it raises.

    The calling thread visits the namespace meanwhile.
    """
    with namespaces.inside(host):
        nft.load(ruleset, what=what, remedy=remedy)
