"""``python -m guestnet.cli`` is ``guestnet``."""

from guestnet.cli import main

main()
