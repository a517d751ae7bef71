"""What a scenario ran on."""

import msgspec


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The axes of a matrix; a scenario has one seed, and one name, on all of them."""

    stack: str = ""
    guest: str = ""
    """Kind of guest: "qemu" or "netns"."""
    image: str = ""
    """Of the guest."""
    profile: str = ""
    """Of the world: a ready one's name, or a file's path in the project."""

    @property
    def id(self) -> str:
        """``builtin/qemu/tiny/office``: one text for each variant."""
        return f"{self.stack}/{self.guest}/{self.image}/{self.profile}"
