"""``python -m harness.cli`` is ``guestnet``."""

from harness.cli import main

main()
