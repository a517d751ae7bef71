"""Puts the image recipes and the profiles into a wheel; an editable install finds them in the checkout."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = ("images", "fixtures")


class CarryData(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"].update({folder: f"harness/_data/{folder}" for folder in CARRIED})
