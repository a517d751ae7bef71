"""A shop that has moved: what the report looks like when a scenario is red."""

from harness.scenario import Lab, tcp


def test_the_old_port_is_closed(lab: Lab) -> None:
    """The shop has moved to port 81; nobody should answer on port 80 any more."""
    with lab.step("look the shop up"):
        assert lab.guest.resolve("shop.example").addresses == ["203.0.113.10"]
    with lab.step("knock at the new door"):
        assert lab.guest.connect("shop.example", 81).refused
    with lab.step("knock at the old door"):
        attempt = lab.guest.connect("shop.example", 80)
        lab.cable.expect(tcp.reset(to=attempt.source), within=1.0)
