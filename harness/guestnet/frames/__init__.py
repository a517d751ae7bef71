"""How bulk travels: frames in runs and trains rather than one by one, with or without virtio's header."""
