"""Whom servers see."""

import json

from guestnet.scenario import Lab

SHOP = "203.0.113.10"
"""Of shop.example."""


def seen_as(lab: Lab) -> str:
    """The address that shop.example sees when the guest asks it something now."""
    page = lab.guest.fetch(f"http://{SHOP}/headers")
    assert page.ok, page.error
    client: str = json.loads(page.body)["client"]
    return client.rpartition(":")[0]
