"""The lab's side of a portal, without its access point."""

import asyncio
from typing import cast

import pytest

from guestnet.core.events import Event, Served
from guestnet.core.recorder import Recorder
from guestnet.edge.clock import LabClock
from guestnet.world.portal.running import Portals, RunningPortal
from guestnet.world.profiles.load import load_profile
from guestnet.world.servers.messages import AskedName, AskedPage, Name, Page


class Journal:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


def ask(question: AskedPage | AskedName, journal: Journal) -> Page | Name:
    async def main() -> Page | Name:
        portals = Portals(load_profile("hotel-wifi"), cast(Recorder, journal), LabClock(), lambda: None)
        try:
            return await portals.ask(question)
        finally:
            portals.close()

    return asyncio.run(main())


def test_who_is_no_neighbour_can_not_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunningPortal, "_machine", lambda portal, address: "")
    journal = Journal()
    login = AskedPage(
        1, "hotel", "10.40.9.9:7", False, "POST", "portal.hotel.example", "/login", "accept=yes"
    )
    answer = ask(login, journal)

    assert isinstance(answer, Page)
    assert answer.status == 500
    assert "no such machine" in answer.body
    assert journal.events == []


def test_what_is_no_query_is_not_in_the_journal() -> None:
    journal = Journal()
    assert ask(AskedName(1, "hotel", "10.40.0.10:7", b"nonsense"), journal) == Name(1, b"")
    assert journal.events == []


def test_a_forged_answer_is_in_the_journal() -> None:
    journal = Journal()
    query = b"\0\7\1\0\0\1\0\0\0\0\0\0\4shop\7example\0\0\1\0\1"
    answer = ask(AskedName(1, "hotel", "10.40.0.10:7", query), journal)
    (served,) = journal.events

    assert isinstance(answer, Name)
    assert answer.answer.startswith(b"\0\7")
    assert isinstance(served, Served)
    assert (served.client, served.request, served.status) == ("10.40.0.10:7", "A shop.example", "forged")
