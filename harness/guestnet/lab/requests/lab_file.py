"""``lab.json``: what a lab was, in its folder from the beginning, so that the same can be started again.

It has no path of the machine: a profile that was a file is there as the world that it describes.
"""

from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests.description import LabDescription

LAB_FILE: Final = "lab.json"


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A guest image: ``release`` is Debian's name, ``version`` its point release, ``digest`` of the image."""

    name: str
    release: str
    version: str
    digest: str


class LabFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of lab.json. What a newer version has beside this is skipped, but for the description:
    one that is not understood whole is not the same lab."""

    description: LabDescription
    """All of it, the world too; equal to ``lab.description``."""
    versions: dict[str, str] = {}
    """Of what took part, as in the journal's first event."""
    image: ImageFacts | None = None
    """None when there were to be no guests, or it was not built."""


def save(lab: LabFile, folder: Path) -> None:
    """Write lab.json into ``folder``. Raises OSError."""
    (folder / LAB_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(lab), indent=2) + b"\n")


def load(folder: Path) -> LabFile:
    """What lab.json in ``folder`` says.

    Raises DescriptionError when it is missing or damaged, or describes what this version does not know.
    """
    path = folder / LAB_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=LabFile)
    except OSError as error:
        raise DescriptionError(
            f"{path}: {error.strerror or error}", remedy="give the folder that a lab has written"
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DescriptionError(
            f"{path} can't be understood: {error}", remedy="use the version of Guestnet that has written it"
        ) from None
