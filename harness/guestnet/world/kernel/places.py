"""Where things are in a lab's mount namespace."""

from pathlib import Path
from typing import Final

RUN: Final = Path("/run/guestnet")
"""Where a lab keeps sockets and other things that nobody needs after it."""

NETNS: Final = Path("/run/netns")
"""Where the hosts' network namespaces are, as ``ip netns`` and ``nsenter --net=`` like them."""
