"""A run's journals and captures become one HTML file. Reads files only; never sees the runtime."""

from guestnet.report.budget import Limits
from guestnet.report.page import build

__all__ = ["Limits", "build"]
