"""The laptop's ways out: uplinks, and who resolves its names."""
