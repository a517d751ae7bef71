"""What the Linux kernel offers and Python 3.11 does not."""
