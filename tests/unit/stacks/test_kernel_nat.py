"""What the stack of the laptop's kernel refuses; what it does is for tests/netns."""

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.stacks.registry import open_stack
from tests.unit.stacks.test_base import MAC, options


def test_what_it_can_not_do_is_refused() -> None:
    with pytest.raises(DescriptionError, match="plug_netns"):
        open_stack("kernel-nat", options()).plug_tap("guest1", MAC, "cable", 7)
    with pytest.raises(DescriptionError, match="choose 576 to 65520"):
        open_stack("kernel-nat", options(mtu=500))
