"""The marker of a scenario in a form that a type checker understands."""

from typing import TYPE_CHECKING, Unpack

from guestnet.scenario.keywords import LabKeys

if TYPE_CHECKING:
    import pytest


def in_lab(**keys: Unpack[LabKeys]) -> "pytest.MarkDecorator":
    """``@pytest.mark.lab(...)``, what lab a scenario gets, with each key known to type checkers::

        @in_lab(profile="corp-vpn-split", guests=2)
        def test_two_guests_share_the_vpn(lab: Lab) -> None: ...

        pytestmark = in_lab(profile="roaming")  # of a whole module

    The keys are the fields of `guestnet.lab.requests.description.LabDescription`; ``stack`` may be several
    names, on each of which the scenario runs, and ``needs`` names what the stack must be capable of.
    """
    import pytest

    return pytest.mark.lab(**keys)
