"""The common form of benchmarks."""

import json
from pathlib import Path

import msgspec
import pytest

from guestnet.bench.form import Benchmark, Machine, Unit, figure, readable
from guestnet.cli.bench import say
from guestnet.core.errors import GuestnetError

MACHINE = Machine(cores=2, accelerator="tcg", kernel="6.1.0", versions={"qemu": "7.2.18"})


def test_a_figure_is_the_median_of_its_runs() -> None:
    odd = figure("restore_to_agent", [0.3, 0.1, 0.2], "s", guest="qemu")
    assert (odd.value, odd.runs) == (0.2, [0.3, 0.1, 0.2])
    assert figure("restore_to_agent", [1.0, 2.0], "s").value == 1.5


def test_the_file_has_one_object_with_machine_and_figures(tmp_path: Path) -> None:
    file = tmp_path / "new" / "figures.json"
    figures = [figure("up", [1e9], "bit/s", stack="slirp", mtu=1500)]
    say(Benchmark(machine=MACHINE, figures=figures), file)
    assert json.loads(file.read_text()) == {
        "machine": {"cores": 2, "accelerator": "tcg", "kernel": "6.1.0", "versions": {"qemu": "7.2.18"}},
        "figures": [
            {"name": "up", "value": 1e9, "unit": "bit/s", "runs": [1e9], "stack": "slirp", "mtu": 1500}
        ],
    }
    assert msgspec.json.decode(file.read_bytes(), type=Benchmark).machine == MACHINE


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    say(Benchmark(machine=MACHINE, figures=[figure("restore_to_agent", [0.1873], "s")]), None)
    said = capsys.readouterr().out
    assert "restore_to_agent" in said
    assert "187 ms" in said
    assert "2 cores, tcg, Linux 6.1.0" in said


def test_a_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(GuestnetError, match="can't write"):
        say(Benchmark(machine=MACHINE, figures=[]), tmp_path)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(9.41e9, "bit/s", "9.41 Gbit/s"), (0.187, "s", "187 ms"), (2.5, "s", "2.5 s"), (0.5, "1", "0.5"),
     (16384, "B", "16.4 kB"), (0.0, "s", "0"), (3e-8, "s", "30 ns")],
)  # fmt: skip
def test_values_are_readable(value: float, unit: Unit, text: str) -> None:
    assert readable(value, unit) == text
