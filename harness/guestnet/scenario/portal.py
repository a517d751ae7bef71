"""Captive portals, as a scenario drives them: like the person in front of the laptop, or the hotel."""

from typing import Final, Literal, Unpack

import msgspec

from guestnet.core.errors import GuestError
from guestnet.core.result import Result
from guestnet.lab.requests.portal import (
    Changes,
    ExpirePortal,
    PortalState,
    PortalStates,
    SetPortal,
)
from guestnet.scenario.forms import read_form, read_link
from guestnet.scenario.keywords import Ways, check
from guestnet.scenario.machine import Host, Machine
from guestnet.scenario.observer import Observer
from guestnet.scenario.results import Page
from guestnet.scenario.verbs import verb
from guestnet.scenario.views import Views, told

DETECT: Final = "http://detect.example/generate_204"
"""What machines ask of the ready profiles' internet to find captive portals."""
_HOPS: Final = 5
_PATIENCE: Final = 10.0
"""Seconds after which a machine takes its network for offline."""


class Detection(Result, msgspec.Struct, frozen=True, kw_only=True):
    """What a machine takes its network for, from the answer ``page`` to a request for nothing."""

    verdict: Literal["open", "captive", "offline"]
    page: Page

    @property
    def ok(self) -> bool:
        """Whether the network is open."""
        return self.verdict == "open"

    @property
    def brief(self) -> str:
        """The verdict."""
        return self.verdict

    @property
    def captive(self) -> bool:
        """Whether somebody else than the one asked has answered."""
        return self.verdict == "captive"


class PortalView:
    """One captive portal. Each change is a `PortalChanged` in the journal."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer

    @property
    def state(self) -> PortalState:
        """As it is now."""
        return next(each for each in self._observer.call(PortalStates()) if each.name == self.name)

    @property
    def is_open(self) -> bool:
        """Whether anybody is logged in."""
        return bool(self.state.open_for)

    @verb
    def login(
        self, by: Machine | None = None, *, user: str | None = None, password: str = "", via: str = ""
    ) -> Page:
        """Log in as a browser on ``by`` (the laptop) does: find the form, fill it in, send it.

        It starts at the page ``via``, the portal's own unless given, and follows redirects and links. User
        and password are the right ones unless given. Raises GuestError when it finds no form, or when the
        right ones are refused.
        """
        machine = Host("laptop", self._observer) if by is None else by
        state = self.state
        url, page = via or state.url, None
        form = None
        for _ in range(_HOPS):
            page = machine.fetch(url)
            if (form := read_form(page.text, url)) is not None:
                break
            url = page.location or read_link(page.text, url) or ""
            if not url:
                break
        if form is None or page is None:
            found = page.error or f"status {page.status}" if page is not None else "nothing"
            raise GuestError(
                f"{machine.name} found no form to log in ({found})", remedy=f"began at {via or state.url}"
            )
        right_user, _, right_password = state.ways.account.partition(":")
        filled = {
            "user": right_user if user is None else user,
            "password": right_password if user is None else password,
        }
        data = form.fields | form.boxes | {name: filled[name] for name in form.fields if name in filled}
        answer = machine.fetch(form.action, data=data)
        if answer.status != 303 and user is None:
            raise GuestError(
                f"the portal {self.name} refuses the right login: {answer.error or answer.status}"
            )
        return answer

    @verb
    def expire(self) -> None:
        """End everybody's session, at once."""
        self._observer.call(ExpirePortal(portal=self.name))

    @verb
    def set(self, **ways: Unpack[Ways]) -> None:
        """Let it behave in other ways: the keys of a profile's portal. Raises DescriptionError."""
        check(Changes, ways, f"the portal {self.name}")
        self._observer.call(SetPortal(portal=self.name, changes=Changes(**ways)))

    @verb
    def detect(self, by: Machine | None = None, *, url: str = DETECT) -> Detection:
        """What the laptop's, or another machine's, system would take this network for."""
        machine = Host("laptop", self._observer) if by is None else by
        page = machine.fetch(url, timeout=_PATIENCE)
        verdict: Literal["open", "captive", "offline"] = "captive"
        if page.status in (0, 204):
            verdict = "open" if page.status else "offline"
        return Detection(verdict=verdict, page=page)

    def __repr__(self) -> str:
        return f"<PortalView {self.name}: {told(self._show)}>"

    def _called(self) -> str:
        return f"lab.portals[{self.name!r}]"

    def _show(self) -> str:
        opened = ", ".join(self.state.open_for)
        return f"open for {opened}" if opened else "nobody is logged in"


def portals(observer: Observer) -> Views[PortalView]:
    """Those of the world."""
    return Views(
        "captive portal", "portals", lambda: [state.name for state in observer.call(PortalStates())],
        lambda name: PortalView(name, observer),
    )  # fmt: skip
