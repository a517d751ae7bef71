"""Guests: the machine under test, and everything needed to make, start, drive and end one."""
