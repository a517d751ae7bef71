import base64
import hashlib
import re
from pathlib import Path

import msgspec
import pytest

from guestnet.core import events
from guestnet.core.errors import DescriptionError
from guestnet.report import Limits, build
from guestnet.report.model import RUN_FILE, Run, load, save
from tests.support import sample
from tests.support.tape import MS, START, Tape
from tests.unit.report.reading import Page


def test_failures_come_first_and_open(tmp_path: Path) -> None:
    page = Page(build(sample.realistic(tmp_path)))

    boxes = [
        attributes for tag, attributes in page.elements if tag == "details" and "data-index" in attributes
    ]
    outcomes = [(box["class"] or "").split()[1] for box in boxes]
    assert outcomes == ["failed", "error", *["passed"] * 5, "skipped"]
    assert ["open" in box for box in boxes] == [True, True, *[False] * 6]


def test_the_head_counts_and_tells_what_ran_where(tmp_path: Path) -> None:
    text = Page(build(sample.realistic(tmp_path))).text

    assert "2 of 8 failed" in text
    for fact in (
        "builtin",
        "plain 7, flaky-wifi 1",
        "tcg",
        "tiny:bookworm 12.15, 767b9ae45761",
        "6.1.0-28-amd64",
        "7.2.15",
        "28.4 s",
        "2026-11-20",
    ):
        assert fact in text


def test_each_scenario_has_its_command_seed_and_first_doc_line(tmp_path: Path) -> None:
    run = sample.single(
        tmp_path, "test_x", folder="", doc="\n  First line.\n\n  Second.", rerun="pytest x --seed 9", seed=9
    )

    text = Page(build(run)).text

    assert "pytest x --seed 9" in text
    assert "First line." in text
    assert "Second." not in text


def test_the_same_folder_gives_the_same_octets(tmp_path: Path) -> None:
    run = sample.realistic(tmp_path)

    first = build(run, tmp_path / "one.html").read_bytes()
    assert build(run, tmp_path / "two.html").read_bytes() == first


def test_nothing_hostile_becomes_markup(tmp_path: Path) -> None:
    evil = sample.HOSTILE
    sample.hostile(tmp_path / "run/labs/h")
    run = sample.single(
        tmp_path,
        evil,
        folder="labs/h",
        message=evil,
        longrepr=evil,
        doc=evil,
        stack=evil,
        profile=evil,
        rerun=evil,
    )

    page = Page(build(run))

    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags
    assert [attributes.get("type") for attributes, _ in page.scripts if attributes] == [
        "application/json", "application/x-guestnet", "application/x-guestnet", "module",
    ]  # fmt: skip
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "\u202e" not in page.source
    assert "\x1b" not in page.source
    assert "<script>window.hacked = 1</script>" in page.text, "it is told as the text that it is"


def test_the_policy_allows_exactly_the_script_and_style_of_the_page(tmp_path: Path) -> None:
    page = Page(build(sample.single(tmp_path, "test_x", folder="")))

    (policy,) = [
        a["content"]
        for tag, a in page.elements
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    module = "".join(text for attributes, text in page.scripts if attributes.get("type") == "module")
    digest = base64.b64encode(hashlib.sha256(module.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"script-src ([^;]*)", policy) == [f"'sha256-{digest}'"]


def test_the_page_names_nothing_on_a_network(tmp_path: Path) -> None:
    page = Page(build(sample.realistic(tmp_path)))

    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href"}
    ]
    assert all(value and not re.match(r"[a-z]+:|//", value) for value in addresses)


def test_the_embedded_capture_is_the_file(tmp_path: Path) -> None:
    run = sample.realistic(tmp_path)
    page = Page(build(run))

    capture = run / "labs/test_a_silent_host_is_refused/capture.pcapng"
    assert page.block("capture-0") == capture.read_bytes()


def test_packets_and_events_are_told_relative_to_the_labs_start(tmp_path: Path) -> None:
    data = Page(build(sample.realistic(tmp_path))).data()

    assert data["packets"]["at"][0] == 190 * MS
    assert data["packets"]["show"][-1].startswith("IP 192.168.65.3.49152 > 203.0.113.98.81: Flags [S]")
    assert set(data["packets"]["direction"]) == {"u", "d"}
    assert data["events"][0] | {"fields": {}} == {
        "at": 0, "type": "LabStarted", "group": "lab", "tone": "", "fields": {},
        "text": "lab started: builtin stack, qemu guest, profile plain, seed 20261120",
    }  # fmt: skip


def test_steps_have_outcome_duration_and_depth(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "run/labs/t", "t")
    outer = tape.step("outer")
    tape.wait(5)
    inner = tape.step("inner")
    tape.wait(7)
    tape.done(inner, "inner", "failed")
    tape.done(outer, "outer", "failed")
    tape.step("cut off")
    tape.close()

    steps = Page(build(sample.single(tmp_path, "t", folder="labs/t"))).data()["steps"]

    assert [(s["name"], s["outcome"], s["depth"]) for s in steps] == [
        ("outer", "failed", 0), ("inner", "failed", 1), ("cut off", "", 0),
    ]  # fmt: skip
    assert [s["end"] and s["end"] - s["at"] for s in steps] == [12 * MS, 7 * MS, None]


def test_verdicts_of_links_can_be_unfolded_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestnet.report.columns.VERDICTS_SHOWN", 3)
    tape = Tape(tmp_path / "run/labs/t", "t")
    for packet_id in (1, 3):
        tape.event(
            events.FramesDelayed(
                at=tape.now,
                link="wifi",
                direction="up",
                rule="delay",
                count=2,
                least=5,
                mean=6,
                most=7,
                first_at=tape.now - MS,
                packet_ids=[packet_id, 1],
                times=[0, MS],
                delays=[5, 2],
            )
        )
    tape.recorder.frames("wifi", "up", [b"x" * 60], tape.now, marks=[("held 5 ns", 2)])
    tape.close()

    data = Page(build(sample.single(tmp_path, "t", folder="labs/t"))).data()

    shown, not_shown = (event for event in data["events"] if event["type"] == "FramesDelayed")
    assert shown["verdicts"] == {"packetId": [1, 2], "at": [-MS, 0], "length": [0, 0], "delay": [5, 7]}
    assert "verdicts" not in not_shown
    assert not_shown["fields"].keys() == shown["fields"].keys() == {
        "link", "rule", "direction", "count", "least", "mean", "most"
    }  # fmt: skip
    assert data["packets"]["packetId"] == {"0": 2}


def test_nearest_misses_name_their_packet_and_why(tmp_path: Path) -> None:
    data = Page(build(sample.realistic(tmp_path))).data()

    (failed,) = [one for one in data["expectations"] if not one["met"]]
    assert failed["frame"] == 11
    assert [(miss["frame"], miss["why"]) for miss in failed["nearest"]] == [
        (11, "flags are S, not R"), (10, "flags are S, not R"), (9, "flags are S, not R"),
    ]  # fmt: skip


def test_a_miss_that_names_no_packet_of_the_capture_is_no_link(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "run/labs/t", "t")
    tape.expected("x", met=False, frame=None, nearest=["#77 gone: why", "FlowRefused 3"])
    tape.close()

    data = Page(build(sample.single(tmp_path, "t", folder="labs/t"))).data()

    assert [(miss["text"], miss["frame"]) for miss in data["expectations"][0]["nearest"]] == [
        ("#77 gone: why", None), ("FlowRefused 3", None),
    ]  # fmt: skip


def test_all_that_the_exception_said_is_shown_not_only_its_first_line(tmp_path: Path) -> None:
    text = Page(build(sample.realistic(tmp_path))).text

    shown = text.split("Traceback")[0]
    assert "flags are S, not R" in shown
    assert "guestnet.core.errors" not in shown


def test_parameters_and_equal_names_get_anchors_of_their_own(tmp_path: Path) -> None:
    names = [
        ("a.py", "test_x[1]"),
        ("a.py", "test_x[2]"),
        ("b.py", "test_x[1]"),
        ("b.py", "test_x(1)"),
        ("c.py", "\u4e2d"),
    ]
    scenarios = [sample.result(name, "passed", 1, file=file, folder="") for file, name in names]
    save(sample.a_run(scenarios), tmp_path)

    anchors = Page(build(tmp_path)).ids("scenario")

    assert len(set(anchors)) == 5
    assert "scenario-test-x-2" in anchors


def test_only_a_failure_links_to_its_files_because_the_others_may_be_removed(tmp_path: Path) -> None:
    page = Page(build(sample.realistic(tmp_path)))

    links = [a["href"] for tag, a in page.elements if tag == "a" and not (a["href"] or "").startswith("#")]
    assert "labs/test_a_silent_host_is_refused/journal.jsonl" in links
    assert not any("upload" in (link or "") for link in links)


def test_a_report_elsewhere_links_to_no_file(tmp_path: Path) -> None:
    page = Page(build(sample.realistic(tmp_path), tmp_path / "elsewhere/report.html"))

    addresses = [a["href"] or "" for tag, a in page.elements if tag == "a"]
    assert [address for address in addresses if not address.startswith("#")] == []


def test_a_damaged_run_is_a_description_error(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_text('{"started": ')

    with pytest.raises(DescriptionError, match="damaged"):
        build(tmp_path)


def test_a_killed_run_says_so(tmp_path: Path) -> None:
    save(Run(started=START), tmp_path)

    text = Page(build(tmp_path)).text

    assert "The run has no end" in text
    assert "Nothing ran" in text


def test_an_accelerator_that_no_guest_told_comes_from_the_run(tmp_path: Path) -> None:
    save(msgspec.structs.replace(sample.a_run([]), machine={"accelerator": "kvm"}), tmp_path)

    assert "kvm" in Page(build(tmp_path)).text


# What a killed lab leaves


def problems(run: Path) -> str:
    page = Page(build(run))
    return page.text.split("labs")[0] if "problems" in page.source else ""


def test_a_scenario_without_its_folder(tmp_path: Path) -> None:
    assert "the folder t is missing" in problems(sample.single(tmp_path, "t", folder="labs/t"))


def test_a_scenario_with_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "run/labs/t").mkdir(parents=True)

    told = problems(sample.single(tmp_path, "t", folder="labs/t"))
    assert "journal.jsonl is missing" in told
    assert "capture.pcapng is missing" in told


def test_a_lab_killed_in_the_middle_of_both_files(tmp_path: Path) -> None:
    run = sample.realistic(tmp_path)
    page = Page(build(run))

    assert "journal.jsonl ends in the middle of an event" in page.text
    assert "capture.pcapng ends in the middle of a block, after packet 3" in page.text
    assert "the lab did not stop in good order" in page.text
    data = page.data(1)
    assert len(data["packets"]["at"]) == 3
    assert [event["type"] for event in data["events"]] == [
        "LabStarted",
        "GuestStarted",
        "DhcpServed",
        "DhcpServed",
    ]


def test_a_last_line_that_lacks_only_its_end_is_read(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "run/labs/t", "t")
    tape.close()
    journal = tmp_path / "run/labs/t/journal.jsonl"
    journal.write_bytes(journal.read_bytes().rstrip(b"\n"))

    page = Page(build(sample.single(tmp_path, "t", folder="labs/t")))

    assert page.data()["events"][-1]["type"] == "LabStopped"
    assert "problems" not in page.source.split("</style>")[1].split("<script")[0]


@pytest.mark.parametrize("at", [0, 4, 60, 300])
def test_a_capture_with_garbage_in_it(tmp_path: Path, at: int) -> None:
    tape = Tape(tmp_path / "run/labs/t", "t")
    tape.lease()
    tape.close()
    capture = tmp_path / "run/labs/t/capture.pcapng"
    octets = bytearray(capture.read_bytes())
    octets[at : at + 8] = b"\xff" * 8
    capture.write_bytes(octets)

    page = Page(build(sample.single(tmp_path, "t", folder="labs/t")))

    assert page.data()["events"]
    assert len(page.data()["packets"]["at"]) <= 4


def test_empty_files(tmp_path: Path) -> None:
    folder = tmp_path / "run/labs/t"
    folder.mkdir(parents=True)
    for name in ("journal.jsonl", "capture.pcapng", "lab.log", "console-guest1.log"):
        (folder / name).touch()

    told = problems(sample.single(tmp_path, "t", folder="labs/t"))
    assert "the lab never started" in told
    assert "capture.pcapng is empty" in told


def test_a_skipped_scenario_that_recorded_nothing_lacks_nothing(tmp_path: Path) -> None:
    (tmp_path / "run/labs/t").mkdir(parents=True)

    page = Page(build(sample.single(tmp_path, "t", "skipped", folder="labs/t", message="no passt here")))

    assert "All 1 skipped" in page.text
    assert "no passt here" in page.text
    assert "missing" not in page.text


def test_lines_that_are_no_events_are_counted(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "run/labs/t", "t")
    tape.close()
    journal = tmp_path / "run/labs/t/journal.jsonl"
    journal.write_bytes(b'\xff\n{"type":"FromTheFuture","at":1}\n' + journal.read_bytes())

    assert "2 lines are no events" in problems(sample.single(tmp_path, "t", folder="labs/t"))


def test_a_long_log_keeps_its_end_from_a_whole_line_on(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "run/labs/t", "t")
    tape.close()
    (tmp_path / "run/labs/t/console-guest1.log").write_text(
        "".join(f"line {n}\n" for n in range(20_000)) + "panic\n"
    )

    log = Page(build(sample.single(tmp_path, "t", folder="labs/t"))).data()["logs"][0]

    assert log["text"].startswith("line ")
    assert log["text"].endswith("line 19999\npanic\n")
    assert 0 < log["leftOut"] < 200_000


# How much goes in


def test_ten_thousand_full_packets_fit_whole_and_stay_light(tmp_path: Path) -> None:
    run = sample.large(tmp_path, 6_660)
    report = build(run)

    page = Page(report)
    assert len(page.data()["packets"]["at"]) >= 10_000
    assert report.stat().st_size < 15_000_000
    assert page.block("capture-0") == (run / "labs/test_upload_arrives_intact/capture.pcapng").read_bytes()


def test_a_capture_beyond_the_limit_is_cut_and_says_so(tmp_path: Path) -> None:
    from guestnet.journal.pcapng import Packet, Parser

    run = sample.large(tmp_path, 300)
    report = build(run, limits=Limits(captures=200_000))

    page = Page(report)
    packets = [block for block in Parser().feed(page.block("capture-0")) if isinstance(block, Packet)]
    assert report.stat().st_size < 600_000
    assert max(len(packet.data) for packet in packets) == 512
    assert max(packet.wire_length for packet in packets) == 1500
    assert "at most 512 B of each frame" in page.text
    assert "-snap512.pcapng" in page.source


def test_a_snap_length_that_was_asked_for(tmp_path: Path) -> None:
    from guestnet.journal.pcapng import Packet, Parser

    page = Page(build(sample.large(tmp_path, 10), limits=Limits(snap=64)))

    packets = [block for block in Parser().feed(page.block("capture-0")) if isinstance(block, Packet)]
    assert max(len(packet.data) for packet in packets) == 64


def test_failures_are_served_before_passes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name in ("red", "green"):
        sample.upload(run / "labs" / name, 300)
    save(sample.a_run([sample.result("green", "passed", 1), sample.result("red", "failed", 1)]), run)

    page = Page(build(run, limits=Limits(captures=500_000)))

    assert page.block("capture-0") == (run / "labs/red/capture.pcapng").read_bytes()
    assert len(page.block("capture-1")) < len(page.block("capture-0")) / 2


def test_a_green_run_stays_light(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sample.upload(run / "labs/green", 600)
    save(sample.a_run([sample.result("green", "passed", 1)]), run)

    report = build(run, limits=Limits(passed=300_000))

    assert report.stat().st_size < 650_000
    assert "a run with --keep on leaves it" in Page(report).text


def test_of_a_long_capture_both_ends_and_the_expected_packets_are_kept(tmp_path: Path) -> None:
    run = sample.large(tmp_path, 300)
    with (run / "labs/test_upload_arrives_intact/journal.jsonl").open("ab") as journal:
        told = events.Expected(at=START + MS, what="one in the middle", met=True, frame=200)
        journal.write(msgspec.json.encode(told) + b"\n")

    page = Page(build(run, limits=Limits(packets=100)))

    numbers = page.data()["packets"]["number"]
    assert numbers[:50] == list(range(1, 51))
    assert 200 in numbers
    assert numbers[-1] == 466
    assert len(numbers) <= 103
    assert "of 466 packets" in page.text


def test_two_runs_read_alike_after_saving_again(tmp_path: Path) -> None:
    run = sample.realistic(tmp_path)
    first = build(run, tmp_path / "1.html").read_bytes()

    save(load(run), run)

    assert build(run, tmp_path / "2.html").read_bytes() == first


def test_a_failed_line_what_was_printed_and_the_nearest_packets_come_first(tmp_path: Path) -> None:
    run = sample.realistic(tmp_path)
    told = load(run)
    red = next(result for result in told.scenarios if result.longrepr)
    longrepr = ">   lab.cable.expect(tcp.reset())\nE   no\n\nscenarios/test_x.py:19: ExpectationFailed"
    said = [("Captured stdout call", "about to ask \x1b[1mthe host\n")]
    printed = msgspec.structs.replace(red, printed=said, longrepr=longrepr)
    scenarios = [printed if result.id == red.id else result for result in told.scenarios]
    save(msgspec.structs.replace(told, scenarios=scenarios), run)

    page = Page(build(run))

    order = ["tcp.reset())", "scenarios/test_x.py:19", "packet 11", "about to ask the host", "Traceback"]
    places = [page.text.index(words) for words in order]
    assert places == sorted(places)
    addresses = [attributes.get("href") for _, attributes in page.elements]
    assert f"#{page.ids('scenario')[0]}/packet-11" in addresses


def test_what_a_passed_scenario_printed_is_nobodys_matter(tmp_path: Path) -> None:
    page = Page(build(sample.realistic(tmp_path, red=False)))
    assert not page.ids("failed-line")
    assert not [tag for tag, a in page.elements if "printed" in (a.get("class") or "")]
