"""How the record of a lab begins: its files, and what they say of the lab before anything happens."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from guestnet.core.errors import EnvironmentMissing
from guestnet.core.events import LabStarted
from guestnet.edge.clock import LabClock
from guestnet.guest.cache import Cache
from guestnet.guest.image import find
from guestnet.guest.machine import find_qemu
from guestnet.journal.capture import HEADERS, NOTHING, WHOLE
from guestnet.journal.recording import FileRecorder
from guestnet.lab.requests import lab_file
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.lab_file import ImageFacts, LabFile
from guestnet.world.described.world import World


def open_recorder(
    description: LabDescription, world: World, artifacts: Path, clock: LabClock
) -> FileRecorder:
    """Journal and capture in the folder ``artifacts``, begun, and beside them lab.json.

    Raises EnvironmentMissing when it can't be written to, or the guests need a QEMU that is not there.
    """
    versions = _versions(description)
    event = LabStarted(
        at=clock.now(),
        scenario=description.scenario,
        seed=description.seed,
        stack=description.stack,
        guest=description.guest,
        profile=world.name,
        versions=versions,
    )
    try:
        lab_file.save(
            LabFile(description=description, versions=versions, image=_image(description)), artifacts
        )
        recorder = FileRecorder(
            artifacts,
            snaplen={"whole": WHOLE, "headers": HEADERS, "none": NOTHING}[description.capture],
            names=_names(world),
        )
    except OSError as error:
        raise EnvironmentMissing(
            f"{artifacts} can't be written to ({error.strerror})",
            remedy="make room there, remove what another user left, or choose another folder",
        ) from error
    recorder.event(event)
    return recorder


def _names(world: World) -> dict[str, list[str]]:
    """Domain names of the world's addresses, for the capture."""
    names: dict[str, list[str]] = {}
    for server in world.servers.values():
        for record in server.records:
            if record.type in ("A", "AAAA"):
                names.setdefault(record.value, []).append(record.name)
    return names


def _image(description: LabDescription) -> ImageFacts | None:
    image = find(description.image) if description.guests else None
    if image is None:
        return None
    return ImageFacts(name=image.name, release=image.release, version=image.version, digest=image.digest)


def _versions(description: LabDescription) -> dict[str, str]:
    """Raises EnvironmentMissing when the guests need a QEMU that is not there."""
    try:
        guestnet = version("guestnet")
    except PackageNotFoundError:
        guestnet = "not installed"
    needs_qemu = description.guest == "qemu" and description.guests > 0
    versions = {"guestnet": guestnet, "python": platform.python_version(), "kernel": platform.release()}
    return versions | ({"qemu": find_qemu(Cache()).version} if needs_qemu else {})
