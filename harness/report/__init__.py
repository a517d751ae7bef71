"""A run's journals and captures become one HTML file. Reads files only; never sees the runtime."""

from harness.report.budget import Limits
from harness.report.page import build

__all__ = ["Limits", "build"]
