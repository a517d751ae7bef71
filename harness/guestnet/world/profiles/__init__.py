"""Profiles: worlds written in TOML, with the line of whatever is wrong."""
