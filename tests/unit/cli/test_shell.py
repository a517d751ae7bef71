"""The way between a terminal and a guest's console."""

import os
import socket
import termios
import threading
from collections.abc import Iterator
from typing import Self

import pytest

from guestnet.cli.shell import ESCAPE, _raw, connect


class Terminal:
    """A person at a terminal, and the guest at the other end of the console."""

    def __init__(self) -> None:
        self.person, self.terminal = os.openpty()
        self.guest, self._console = socket.socketpair()
        self.reason = ""
        self.refreshed = threading.Event()
        self._thread = threading.Thread(target=self._connect)

    def _connect(self) -> None:
        self.reason = connect(self._console, self.terminal, self.terminal, self.refreshed.set)

    def __enter__(self) -> Self:
        self._raw = _raw(self.terminal)
        self._raw.__enter__()
        self._thread.start()
        assert b"stty rows 24 cols 80" in self.guest.recv(1000)
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join(10)
        self._raw.__exit__(None, None, None)
        for each in (self.guest, self._console):
            each.close()
        os.close(self.person)
        os.close(self.terminal)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        yield terminal
        os.write(terminal.person, ESCAPE)


def test_keys_reach_the_guest_as_they_are_and_its_output_the_screen(terminal: Terminal) -> None:
    os.write(terminal.person, b"ls\r\x03")
    assert terminal.guest.recv(100) == b"ls\r\x03"
    terminal.guest.sendall(b"bin etc\r\n")
    assert os.read(terminal.person, 100) == b"bin etc\r\n"


def test_the_escape_key_leaves_and_what_was_typed_before_it_still_arrives() -> None:
    with Terminal() as terminal:
        os.write(terminal.person, b"halt\r" + ESCAPE + b"after")
        terminal._thread.join(10)
        assert terminal.guest.recv(100) == b"halt\r"
        assert terminal.reason == "left the console"


def test_the_journal_is_kept_fresh_for_a_second_terminal_also_when_nobody_types(terminal: Terminal) -> None:
    assert terminal.refreshed.wait(10)


def test_a_console_that_closes_is_told() -> None:
    with Terminal() as terminal:
        terminal.guest.shutdown(socket.SHUT_RDWR)
        terminal._thread.join(10)
        assert terminal.reason == "the guest's console closed"


def test_the_terminal_is_put_back() -> None:
    person, terminal = os.openpty()
    try:
        before = termios.tcgetattr(terminal)
        with pytest.raises(ZeroDivisionError), _raw(terminal):
            os.write(person, bytes([termios.tcgetattr(terminal)[3] // 0]))
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(person)
        os.close(terminal)
