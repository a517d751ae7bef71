"""Where the files are that come with the package: recipes of images, profiles."""

from pathlib import Path


def data_folder(*parts: str) -> Path:
    """The folder of ``parts``, such as ``data_folder("fixtures", "profiles")``.

    In an installed package it is in ``_data``, in a checkout at its top.
    """
    import guestnet

    (package,) = guestnet.__path__
    installed = Path(package, "_data", *parts)
    return installed if installed.is_dir() else Path(package).parents[1].joinpath(*parts)
