"""Guestnet: a network emulation test harness around a real guest kernel."""
