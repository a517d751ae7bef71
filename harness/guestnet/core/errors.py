"""Errors that name the culprit and the remedy (DESIGN section 8)."""


class GuestnetError(Exception):
    """What went wrong in one sentence, and what the reader can do about it.

    ``str()`` of it is complete: message and remedy. The command line prints just that, no traceback.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class WireError(GuestnetError):
    """Bytes from a peer that are not what their format says; the frame is dropped and journaled."""


class ExpectationFailed(GuestnetError, AssertionError):
    """The scenario is red: what was expected did not happen in time."""


class EnvironmentMissing(GuestnetError):
    """This machine lacks something (QEMU, namespaces, a package): skip, or exit status 2."""


class CapabilityMissing(GuestnetError):
    """The stack under test can't do what the scenario needs: a skip, on whatever machine."""


class DescriptionError(GuestnetError):
    """A profile or scenario says something impossible: file, line, and what is allowed."""


class GuestError(GuestnetError):
    """The guest panicked, never answered, or its QEMU ended."""


class LabError(GuestnetError):
    """The lab process ended or refused a request."""
