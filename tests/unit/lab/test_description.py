import pytest

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests.description import LabDescription


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", -1), ("guests", 33), ("memory", 1), ("mtu", 100), ("mtu", 65536), ("guest", "vm")],
)
def test_an_impossible_value_names_its_field(field: str, value: object) -> None:
    with pytest.raises(DescriptionError) as caught:
        LabDescription(**{"scenario": "s", "seed": 1, field: value})  # type: ignore[arg-type]

    assert caught.value.message.startswith(f"{field}: ")
    assert caught.value.remedy
