"""What a red scenario shows: its author's own line and one sentence, not how we came to raise it."""

from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pytest

from guestnet.core.errors import GuestnetError

_PLUGIN: Final = Path(__file__).parent
_PACKAGE: Final = _PLUGIN.parent


def hide_our_frames(call: pytest.CallInfo[Any]) -> None:
    """End the traceback of an error of ours, which is a whole sentence, where its author called us.

    Any other exception is a bug, ours or the author's, and keeps all of it.
    """
    excinfo = call.excinfo
    if excinfo is None or not isinstance(excinfo.value, GuestnetError):
        return
    theirs: list[TracebackType] = []
    traceback: TracebackType | None = excinfo.tb
    while traceback is not None and not _is_ours(traceback):
        theirs.append(traceback)
        traceback = traceback.tb_next
    shown: TracebackType | None = None
    for one in reversed(theirs):
        shown = TracebackType(shown, one.tb_frame, one.tb_lasti, one.tb_lineno)
    if shown is not None:
        call.excinfo = pytest.ExceptionInfo.from_exc_info((excinfo.type, excinfo.value, shown))


def _is_ours(traceback: TracebackType) -> bool:
    """The hooks of the plugin stand around the author's code, all else of ours is called by it."""
    path = Path(traceback.tb_frame.f_code.co_filename)
    return path.is_relative_to(_PACKAGE) and not path.is_relative_to(_PLUGIN)
