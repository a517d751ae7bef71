"""What the answers of verbs have in common, and what became of a command."""

import msgspec


class Result:
    """Base of answers that also tell of failure: true when ``ok``."""

    __slots__ = ()

    @property
    def ok(self) -> bool:
        """Whether what the verb was for has happened."""
        raise NotImplementedError

    @property
    def brief(self) -> str:
        """What came of it, in a few words."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        return self.ok


class Ran(Result, msgspec.Struct, frozen=True, kw_only=True):
    """A command that ended; ``status`` is its exit status, or minus the signal that ended it.

    ``seconds`` passed from the request to the answer.
    """

    command: str = ""
    """As it would be typed."""
    status: int
    stdout_bytes: bytes
    stderr_bytes: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.status == 0

    @property
    def brief(self) -> str:
        """Its status."""
        return f"status {self.status}"

    @property
    def stdout(self) -> str:
        """As text; octets that are no UTF-8 are replaced."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """As text; octets that are no UTF-8 are replaced."""
        return self.stderr_bytes.decode(errors="replace")
