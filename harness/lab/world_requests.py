"""Requests that change the world while a lab runs; `harness.lab.world_control` carries them out."""

from harness.lab.request import Request


class ResolversOf(Request[list[str]], frozen=True, kw_only=True):
    """The resolvers that the laptop's resolv.conf names now."""


AnyWorldRequest = ResolversOf
