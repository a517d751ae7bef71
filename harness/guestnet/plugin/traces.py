"""What a red scenario shows: its author's own line and one sentence, not how we came to raise it."""

from pathlib import Path
from typing import Any, Final

import pytest

from guestnet.core.errors import GuestnetError

_PACKAGE: Final = Path(__file__).parents[1]


def hide_our_frames(call: pytest.CallInfo[Any]) -> None:
    """Cut this package's frames out of the traceback of an error of ours, which is a whole sentence.

    Any other exception is a bug, ours or the author's, and keeps all of them.
    """
    excinfo = call.excinfo
    if excinfo is None or not isinstance(excinfo.value, GuestnetError):
        return
    theirs = excinfo.traceback.filter(lambda entry: not Path(entry.path).is_relative_to(_PACKAGE))
    if theirs:
        excinfo.traceback = theirs
