"""Frames over a real pipe: whole, in order, however they are cut."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.mqtt.frames import Frames, Say, frame, write_all

_BEYOND_SELECT = 1_500


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reading and writing end; the writing end may be closed by the test."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def messages_in(reading: int) -> list[Say]:
    frames, found = Frames(reading), []
    while (body := frames.read(wait_s=None)) is not None:
        found.append(msgspec.msgpack.decode(body, type=Say))
    assert frames.ended
    return found


@given(
    sizes=st.lists(st.integers(0, 200_000), max_size=6),
    cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_frames_come_whole_and_in_order_however_the_bytes_are_cut(
    sizes: list[int], cuts: list[int]
) -> None:
    sent = [Say([(f"t/{number}", bytes(size))]) for number, size in enumerate(sizes)]
    data = b"".join(map(frame, sent))
    reading, writing = os.pipe()

    def write() -> None:
        at = turn = 0
        while at < len(data):
            step = cuts[turn % len(cuts)] if turn < 50 else len(data)
            write_all(writing, data[at : at + step])
            at, turn = at + step, turn + 1
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert messages_in(reading) == sent
    finally:
        writer.join()
        os.close(reading)


def test_nothing_within_the_wait_is_none_and_not_the_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    frames = Frames(reading)
    assert frames.read(wait_s=0.0) is None
    assert not frames.ended
    write_all(writing, frame(Say([])))
    assert frames.read(wait_s=0.0) is not None
    os.close(writing)
    assert frames.read(wait_s=None) is None
    assert frames.ended


def test_a_frame_that_was_cut_off_by_a_death_is_not_given(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    write_all(writing, frame(Say([("t", b"12345")]))[:-1])
    os.close(writing)
    assert messages_in(reading) == []


def test_writing_to_nobody_is_a_broken_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        write_all(writing, b"anything")
    os.close(writing)


def test_frames_are_read_from_a_pipe_whose_number_is_beyond_those_of_select() -> None:
    """As where a link process is started anew while many clients are connected."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= _BEYOND_SELECT:
        pytest.skip("this process may not open so many files")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _BEYOND_SELECT + 1), hard))
    low, write = os.pipe()
    read = fcntl.fcntl(low, fcntl.F_DUPFD, _BEYOND_SELECT)
    try:
        frames = Frames(read)
        assert frames.read(wait_s=0.0) is None
        os.write(write, frame(Say([])))
        assert frames.read(wait_s=30.0) is not None
        os.close(write)
        assert frames.read(wait_s=30.0) is None
        assert frames.ended
    finally:
        os.close(low)
        os.close(read)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_half_a_frame_is_waited_for_within_the_patience_and_kept(pipe: tuple[int, int]) -> None:
    """Who writes it may hang for ever."""
    reading, writing = pipe
    frames, data = Frames(reading, patience_s=0.05), frame(Say([("t", b"whole")]))
    os.write(writing, data[:-1])
    assert frames.read(wait_s=0.0) is None
    assert not frames.ended
    os.write(writing, data[-1:])
    assert frames.read(wait_s=0.0) == data[4:]
    os.close(writing)
    assert frames.read(wait_s=None) is None
    assert frames.ended
