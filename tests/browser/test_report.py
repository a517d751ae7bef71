"""A report as its reader uses it."""

import re
from pathlib import Path

import pytest

from guestnet.core.time import SECOND
from guestnet.journal.capture import CaptureReader
from guestnet.link.link import Link
from guestnet.link.settings import impairments
from guestnet.report import Limits, build
from tests.support import sample
from tests.support.tape import Tape

pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
from playwright.sync_api import Locator, Page, expect

ARP = bytes.fromhex("ffffffffffff52540065000108060001080006040001525400650001c0a84103000000000000c0a84101")
LARGE = "#scenario-test-upload-arrives-intact"
SILENT = "#scenario-test-a-silent-host-is-refused"


def show(page: Page, run: Path, fragment: str = "") -> Locator:
    """Open the report; the scenario that ``fragment`` names, or the first, drawn."""
    page.goto((run / "report.html").as_uri() + fragment)
    box = page.locator(fragment.split("/")[0] if fragment else "details.scenario").first
    expect(box.get_by_role("tab").first).to_be_visible()
    return box


def chosen(box: Locator) -> Locator:
    return box.locator('.row[aria-selected="true"]')


def test_ten_thousand_packets_scroll_with_few_rows_in_the_page(page: Page, large_run: Path) -> None:
    box = show(page, large_run)
    last = sum(1 for _ in CaptureReader(large_run / "labs/test_upload_arrives_intact/capture.pcapng").read())
    assert last >= 10_000
    expect(box.locator(".packets .count")).to_have_text(f"{last:,} packets")

    box.locator(".scroller").evaluate("(scroller) => (scroller.scrollTop = scroller.scrollHeight)")

    expect(box.locator(".row.packet .number").last).to_have_text(str(last))
    assert box.locator(".row").count() < 100


def test_a_filter_leaves_what_it_names(page: Page, large_run: Path) -> None:
    box = show(page, large_run)
    filter_box, count = box.get_by_label("Filter packets"), box.locator(".packets .count")

    for text, shown in (
        ("dns", "2 of"), ("dns up", "1 of"), ("-tcp", "8 of"), ("port:53", "2 of"), ("udp !dhcp", "2 of"),
        ('"Flags [S]"', "1 of"), ("syn", "2 of"), ("link:cable arp", "2 of"), ("link:other", "0 of"),
    ):  # fmt: skip
        filter_box.fill(text)
        expect(count).to_have_text(re.compile(f"^{shown} "))
    expect(box.locator(".row.empty")).to_have_text("No packet matches the filter.")

    filter_box.fill("")
    box.locator(".chip", has_text="DHCP").click()
    expect(filter_box).to_have_value("dhcp")
    expect(box.locator(".row.packet")).to_have_count(4)


def test_what_a_link_dropped_is_marked_and_packets_are_in_the_order_of_time(
    page: Page, tmp_path: Path
) -> None:
    tape = Tape(tmp_path / "run/labs/d", "drops")
    for link, after, comment in (("cable", 5, ""), ("wifi-dropped", 7, "loss 3%"), ("wifi", 6, "")):
        tape.recorder.frames(link, "up", [ARP], tape.now + after * 1_000_000, comment)
    tape.wait(10)
    tape.close()
    run = sample.single(tmp_path, "drops", folder="labs/d")
    build(run)
    box = show(page, run)

    expect(box.locator(".row.packet .number")).to_have_text(["1", "3", "2"])
    expect(box.locator(".row.packet.dropped")).to_have_count(1)
    expect(box.locator(".row.packet.dropped .comment")).to_have_text("loss 3%")


def test_each_frame_that_an_event_tells_of_leads_to_its_packet(page: Page, tmp_path: Path) -> None:
    tape = Tape(tmp_path / "run/labs/d", "delays")
    link = Link("wifi")
    for event in link.impair(impairments(delay="5ms", drop="2nd"), tape.now):
        tape.event(event)
    for passed in (link.offer("up", [ARP] * 3, tape.now), link.due("up", tape.now + SECOND)):
        for event in passed.events:
            tape.event(event)
        frames, marks = passed.lost()
        tape.recorder.frames("wifi", "up", passed.frames, tape.now, marks=passed.marks())
        tape.recorder.frames("wifi-dropped", "up", frames, tape.now, marks=marks)
    tape.wait(10)
    tape.close()
    run = sample.single(tmp_path, "delays", folder="labs/d")
    build(run)
    box = show(page, run)

    box.locator(".chip", has_text="delayed").click()
    expect(box.locator(".row.packet")).to_have_count(2)
    box.locator(".chip", has_text="dropped").click()
    expect(box.locator(".row.packet .comment")).to_have_text("drop 2nd")

    box.get_by_role("tab", name="Events").click()
    box.locator(".events summary", has_text="held 2 frames").click()
    rows = box.locator(".verdicts tbody tr")
    expect(rows.nth(0).locator("td")).to_have_text(["packet 2", "1", "0.000000", "5.00 ms"])
    expect(rows.nth(1).locator("td")).to_have_text(["packet 3", "3", "0.000000", "5.00 ms"])
    box.locator(".verdicts button", has_text="packet 3").click()
    expect(chosen(box).locator(".number")).to_have_text("3")


def test_a_click_shows_layers_and_octets(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)

    box.locator(".row.packet", has_text="DHCP ACK").click()

    layers = box.locator(".layer > summary .layer-name")
    expect(layers).to_have_text(["Ethernet", "IPv4", "UDP", "DHCP"])
    expect(box.locator(".field", has_text="Option 26 Interface MTU")).to_contain_text("1500")
    expect(box.locator(".hex")).to_contain_text("52 54 00 65 00 01 52 54 00 65 ff 01 08 00")


def test_the_octets_of_the_chosen_layer_are_marked(page: Page, red_run: Path) -> None:
    box = show(page, red_run, f"{SILENT}/packet-5")
    expect(box.locator(".layer")).to_have_count(2)

    box.locator(".layer > summary", has_text="Ethernet").click()
    expect(box.locator(".hex mark")).to_have_text(
        ["ff ff ff ff ff ff 52 54 00 65 00 01 08 06", "......RT.e...."]
    )

    box.locator(".field", has_text="Target IP").click()
    expect(box.locator(".hex mark").first).to_have_text("c0 a8 41 01")


def test_a_click_on_an_octet_chooses_its_field(page: Page, red_run: Path) -> None:
    box = show(page, red_run, f"{SILENT}/packet-5")
    offset = box.locator(".hex .offset").nth(2).bounding_box()
    assert offset is not None
    width = offset["width"] / 6

    # Octet 38 of an ARP request is the first of the target's address: line 2, column 6.
    page.mouse.click(offset["x"] + width * (6 + 6 * 3 + 1), offset["y"] + offset["height"] / 2)

    expect(box.locator(".layers [aria-current]")).to_contain_text("Target IP")


def test_keys_walk_through_the_packets(page: Page, large_run: Path) -> None:
    box = show(page, large_run)
    box.get_by_label("events between").uncheck()
    box.get_by_role("grid").focus()

    for key, number in (
        ("ArrowDown", 1),
        ("ArrowDown", 2),
        ("ArrowUp", 1),
        ("ArrowUp", 1),
        ("PageDown", 13),
        ("Home", 1),
    ):
        page.keyboard.press(key)
        expect(chosen(box).locator(".number")).to_have_text(str(number))
    page.keyboard.press("End")
    expect(box.locator(".packet-title b")).to_have_text(re.compile(r"Packet 10\d\d\d"))
    row = chosen(box).get_attribute("id")
    assert row == box.get_by_role("grid").get_attribute("aria-activedescendant")


def test_the_download_is_the_capture_octet_for_octet(page: Page, large_run: Path) -> None:
    box = show(page, large_run)

    with page.expect_download() as download:
        box.get_by_role("button", name="Download pcapng").click()

    assert download.value.suggested_filename == "test-upload-arrives-intact.pcapng"
    capture = large_run / "labs/test_upload_arrives_intact/capture.pcapng"
    assert Path(download.value.path()).read_bytes() == capture.read_bytes()


def test_a_cut_capture_downloads_under_a_name_that_tells(page: Page, tmp_path: Path) -> None:
    run = sample.large(tmp_path, 10)
    build(run, limits=Limits(snap=96))
    box = show(page, run, f"{LARGE}/packet-13")
    expect(box.locator(".packet-title")).to_contain_text("1,500 B, 96 B of it captured")

    with page.expect_download() as download:
        box.get_by_role("button", name="Download pcapng (cut frames)").click()

    assert download.value.suggested_filename == "test-upload-arrives-intact-snap96.pcapng"
    records = list(CaptureReader(Path(download.value.path())).read())
    assert {len(record.data) for record in records if record.wire_length == 1500} == {96}


def test_a_deep_link_opens_its_packet(page: Page, large_run: Path) -> None:
    box = show(page, large_run, f"{LARGE}/packet-5000")

    expect(chosen(box).locator(".number")).to_have_text("5000")
    expect(chosen(box)).to_be_in_viewport()
    expect(box.locator(".packet-title b")).to_have_text("Packet 5000")


def test_a_deep_link_opens_a_passed_scenario_and_follows_a_new_address(page: Page, red_run: Path) -> None:
    box = show(page, red_run, "#scenario-test-ping-and-its-limits/packet-9")
    expect(chosen(box).locator(".number")).to_have_text("9")

    page.evaluate("location.hash = '#scenario-test-ping-and-its-limits/event-2'")

    expect(chosen(box)).to_contain_text("DHCP OFFER")


@pytest.mark.parametrize("fragment", ["#%", "#scenario-nowhere/packet-1", "#//", "#scenarios"])
def test_an_address_that_points_nowhere_is_harmless(page: Page, red_run: Path, fragment: str) -> None:
    page.goto((red_run / "report.html").as_uri() + fragment)

    expect(page.locator(SILENT).get_by_role("tab").first).to_be_visible()


def test_a_packet_that_is_chosen_becomes_the_address(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)

    box.locator(".row.packet", has_text="ARP, Reply").click()

    page.wait_for_function("(address) => location.hash === address", arg=f"{SILENT}/packet-6")


def test_a_failed_expectation_leads_to_its_nearest_packet(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    failed = box.locator(".expectation.unmet")
    expect(failed).to_contain_text("a tcp reset to 192.168.65.3:49152")
    expect(failed.locator(".why").first).to_have_text("flags are S, not R")

    failed.get_by_role("button", name="nearest: packet 11").click()
    expect(chosen(box).locator(".number")).to_have_text("11")
    expect(chosen(box)).to_be_in_viewport()

    failed.locator(".nearest .jump").last.click()
    expect(chosen(box).locator(".number")).to_have_text("9")


def test_a_red_scenario_opens_at_its_failure(page: Page, red_run: Path) -> None:
    box = show(page, red_run)

    expect(chosen(box)).to_contain_text("not met: a tcp reset to 192.168.65.3:49152")
    assert page.evaluate("location.hash") == ""
    box.locator(".grid").scroll_into_view_if_needed()
    expect(chosen(box)).to_be_in_viewport()


def test_conversations_lead_to_their_first_packet(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    box.get_by_role("tab", name="Conversations").click()
    row = box.locator(".conversations tbody tr", has_text="unanswered")
    expect(row).to_contain_text("203.0.113.98:81")

    row.get_by_role("button").click()

    expect(chosen(box).locator(".show")).to_contain_text("> 203.0.113.98.81: Flags [S]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("link:wfi", "There is no link “wfi”: there are cable."),
        ("port:htp", "“htp” is no port: write port:443."),
        ("lnk:cable", "“lnk:” is no filter: there are link: and port:."),
    ],
)
def test_a_filter_that_can_not_be_says_so(page: Page, red_run: Path, text: str, said: str) -> None:
    box = show(page, red_run, SILENT)
    box.get_by_label("Filter packets").fill(text)
    expect(box.get_by_role("alert")).to_have_text(said)

    box.get_by_label("Filter packets").fill("nothing-has-this")
    expect(box.get_by_role("alert")).to_be_hidden()


def test_a_hidden_packet_that_is_asked_for_drops_the_filter(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    box.get_by_label("Filter packets").fill("arp")

    box.get_by_role("button", name="nearest: packet 11").click()

    expect(box.get_by_label("Filter packets")).to_have_value("")
    expect(chosen(box).locator(".number")).to_have_text("11")


def test_steps_tell_outcome_and_duration(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)

    expect(box.locator(".step")).to_have_text(
        ["the guest has a lease9.20 ms", "connect to silent.example:812.06 s"]
    )
    expect(box.locator(".step .dot").nth(1)).to_have_attribute("aria-label", "failed")


def test_events_filter_and_open(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    box.get_by_role("tab", name="Events").click()

    box.get_by_label("Filter events").fill("drop")
    expect(box.locator(".events li")).to_have_count(3)
    box.locator(".events summary").first.click()

    expect(box.locator(".fields").first).to_contain_text("silent.example drops everything")


def test_the_console_is_there_without_escapes(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)

    box.get_by_role("tab", name="console-guest1.log").click()

    expect(box.locator(".log:visible")).to_contain_text("guest1 login:")
    expect(box.locator(".log:visible")).not_to_contain_text("[1;32m")


def test_tabs_move_by_arrow_keys(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    box.get_by_role("tab", name="Packets").focus()

    page.keyboard.press("ArrowRight")
    expect(box.get_by_role("tab", name="Conversations")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(box.get_by_role("tab", name="lab.log")).to_have_attribute("aria-selected", "true")


def test_the_timeline_zooms_and_chooses(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    canvas, shown = box.locator("canvas"), box.locator(".timeline .count")
    expect(shown).to_have_text("2.27 s")

    canvas.focus()
    page.keyboard.press("+")
    expect(shown).not_to_have_text("2.27 s")
    page.keyboard.press("0")
    expect(shown).to_have_text("2.27 s")

    frame = canvas.bounding_box()
    assert frame is not None
    scale = (frame["width"] - 120) / 1.03
    second = 112 + scale * (0.015 + 1.2059 / 2.2709)
    canvas.hover(position={"x": second, "y": frame["height"] - 42})
    expect(box.locator(".tip")).to_contain_text("#10 IP 192.168.65.3.49152")
    canvas.click(position={"x": second, "y": frame["height"] - 42})
    expect(chosen(box).locator(".number")).to_have_text("10")


def test_a_drag_zooms_into_what_it_covers(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)
    frame = box.locator("canvas").bounding_box()
    assert frame is not None

    page.mouse.move(frame["x"] + 300, frame["y"] + 40)
    page.mouse.down()
    page.mouse.move(frame["x"] + 420, frame["y"] + 40, steps=3)
    page.mouse.up()
    expect(box.locator(".timeline .count")).to_have_text(re.compile(r"^\d+ ms$"))

    box.get_by_role("button", name="Show everything").click()
    expect(box.locator(".timeline .count")).to_have_text("2.27 s")


def test_passes_are_drawn_only_when_opened(page: Page, red_run: Path) -> None:
    show(page, red_run)
    passed = page.locator("details.scenario.passed").first
    assert passed.get_by_role("tab").count() == 0

    passed.locator("summary").first.click()

    expect(passed.get_by_role("tab").first).to_be_visible()


def test_scenarios_are_found_by_verdict_and_words(page: Page, red_run: Path) -> None:
    show(page, red_run)
    boxes = page.locator("details.scenario:visible")

    page.locator(".segments").get_by_role("button", name="Passed").click()
    expect(boxes).to_have_count(5)
    page.get_by_label("Find a scenario").fill("tcp upload")
    expect(boxes).to_have_count(1)
    page.get_by_label("Find a scenario").fill("no such")
    expect(page.get_by_text("No scenario matches.")).to_be_visible()
    page.locator(".segments").get_by_role("button", name="All").click()
    page.get_by_label("Find a scenario").fill("flaky-wifi")
    expect(boxes).to_have_count(1)


@pytest.mark.parametrize("context_options", [{"permissions": ["clipboard-read", "clipboard-write"]}])
def test_the_command_to_run_it_again_is_copied(page: Page, red_run: Path) -> None:
    box = show(page, red_run, SILENT)

    box.locator(".again").get_by_role("button", name="Copy").click()

    expect(box.locator("button.copy").first).to_have_text("Copied")
    expected = "pytest 'scenarios/tcp/test_connect.py::test_a_silent_host_is_refused' --seed 20261120"
    assert page.evaluate("navigator.clipboard.readText()") == expected


def test_a_hostile_guest_stays_text(page: Page, tmp_path: Path) -> None:
    sample.hostile(tmp_path / "run/labs/h")
    evil = sample.HOSTILE
    run = sample.single(
        tmp_path, evil, folder="labs/h", message=evil, longrepr=evil, doc=evil, rerun=evil, stack=evil
    )
    build(run)
    box = show(page, run)

    for row in box.locator(".row.packet").all():
        row.click()
    for tab in box.get_by_role("tab").all():
        tab.click()
    box.get_by_role("tab", name="Events").click()
    for event in box.locator(".events summary").all():
        event.click()

    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    expect(box.locator(".step-name")).to_contain_text("<script>window.hacked = 1</script>")
    expect(box.locator(".step-name")).to_contain_text(r"\u202egpj.exe")


@pytest.mark.parametrize("context_options", [{"viewport": {"width": 390, "height": 844}}])
def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, red_run: Path) -> None:
    box = show(page, red_run, f"{SILENT}/packet-11")
    expect(chosen(box).locator(".number")).to_have_text("11")

    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390


@pytest.mark.parametrize("context_options", [{"color_scheme": "dark"}, {"color_scheme": "light"}])
def test_the_page_follows_the_colour_scheme(
    page: Page, red_run: Path, context_options: dict[str, str]
) -> None:
    show(page, red_run)

    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = max(int(part) for part in re.findall(r"\d+", ground)) < 100
    assert is_dark == (context_options["color_scheme"] == "dark")


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_verdicts_and_messages_need_no_script(page: Page, red_run: Path) -> None:
    page.goto((red_run / "report.html").as_uri())

    expect(page.locator(SILENT)).to_contain_text("flags are S, not R")
    expect(page.locator("noscript p")).to_be_visible()


def test_a_killed_lab_is_shown_as_far_as_it_came(page: Page, red_run: Path) -> None:
    box = show(page, red_run, "#scenario-test-guest-reset-gets-its-address-back")

    expect(box.locator(".problems")).to_contain_text(
        "capture.pcapng ends in the middle of a block, after packet 3"
    )
    expect(box.locator(".packets .count")).to_have_text("3 packets")


def test_a_scenario_without_artifacts_is_still_told(page: Page, tmp_path: Path) -> None:
    run = sample.single(tmp_path, "t", "error", folder="labs/t", message="the lab never started")
    build(run)
    box = show(page, run)

    expect(box).to_contain_text("the folder t is missing")
    expect(box.get_by_role("tab")).to_have_text(["Events0"])
