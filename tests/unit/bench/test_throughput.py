"""Throughput: what is measured, what iperf3 says, and the ratios within a run."""

import pytest

from guestnet.bench.throughput import Cell, Sample, cells, figures, received
from guestnet.core.errors import DescriptionError, GuestError


def test_each_stack_is_measured_at_each_mtu_that_it_can_have() -> None:
    assert cells(["builtin", "slirp"], [1500, 65520]) == [
        Cell("builtin", 1500),
        Cell("slirp", 1500),
        Cell("builtin", 65520),
    ]


def test_slirp4netns_has_every_mtu() -> None:
    assert cells(["slirp"], [1500, 65520], "netns") == [
        Cell("slirp", 1500, "netns"),
        Cell("slirp", 65520, "netns"),
    ]


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(DescriptionError, match=r"slirp can't have an MTU of 9000"):
        cells(["slirp"], [9000])


def test_the_octets_that_arrived_count() -> None:
    report = '{"end": {"sum_sent": {"bits_per_second": 9e9}, "sum_received": {"bits_per_second": 2.5e9}}}'
    assert received(report) == 2.5e9


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ('{"end": {}, "error": "unable to connect to server"}', "unable to connect to server"),
        ('{"end": {}}', "no sum"),
        ("iperf3: not found", "no report"),
    ],
)
def test_a_transfer_that_failed_is_told_with_its_reason(report: str, reason: str) -> None:
    with pytest.raises(GuestError, match=reason):
        received(report)


def test_ratios_are_taken_within_a_run() -> None:
    made = figures(
        {
            Cell("builtin", 1500): [
                Sample(4.0, 3.0, "tcg"),
                Sample(2.0, 1.0, "tcg"),
                Sample(9.0, 4.0, "tcg"),
            ],
            Cell("slirp", 1500): [Sample(2.0, 3.0, "tcg"), Sample(1.0, 2.0, "tcg"), Sample(3.0, 1.0, "tcg")],
        }
    )
    by_name = {(one.name, one.stack): one for one in made}
    assert by_name["throughput_up", "slirp"].value == 2.0
    up = by_name["throughput_up_against_slirp", "builtin"]
    assert (up.runs, up.value, up.unit, up.mtu) == ([2.0, 2.0, 3.0], 2.0, "1", 1500)
    assert by_name["throughput_down_against_slirp", "builtin"].runs == [1.0, 0.5, 4.0]
    assert ("throughput_up_against_builtin", "builtin") not in by_name
