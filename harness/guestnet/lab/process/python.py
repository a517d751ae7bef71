"""How another Python process finds this project, also from a checkout where nothing is installed."""

import os
from pathlib import Path


def python_path() -> str:
    """For its PYTHONPATH: where ``guestnet`` is, and what our own has."""
    import guestnet

    (package,) = guestnet.__path__
    return os.pathsep.join(filter(None, [str(Path(package).parent), os.environ.get("PYTHONPATH", "")]))
