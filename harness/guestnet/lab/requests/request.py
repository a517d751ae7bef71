"""What every request of the lab's protocol is."""

from typing import Generic, TypeVar

import msgspec

R = TypeVar("R")


class Request(
    msgspec.Struct,
    Generic[R],
    frozen=True,
    kw_only=True,
    tag_field="do",
    tag=True,
    forbid_unknown_fields=True,
):
    """Base of all requests; R is the type of the response."""
