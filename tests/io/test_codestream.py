"""What a compressed frame says of its own size."""

from __future__ import annotations

import struct

import pytest

from spinecare.io.codestream import rle_segment_sizes


def frame(*segments: bytes) -> bytes:
    """A DICOM RLE frame (PS3.5 G.5): a header of 16 words, then the segments."""
    starts = [64 + sum(map(len, segments[:i])) for i in range(15)]
    offsets = [start if i < len(segments) else 0 for i, start in enumerate(starts)]
    return struct.pack("<16I", len(segments), *offsets) + b"".join(segments)


def test_literal_runs_repeats_and_nothing_are_counted_as_the_standard_says() -> None:
    # PS3.5 G.3.2: n < 128 copies n + 1 bytes; n > 128 repeats one byte 257 - n times; 128 outputs nothing.
    assert rle_segment_sizes(frame(b"\x02abc" + b"\x80" + b"\xfea", b"\x81z"), 1000) == [6, 128]


def test_a_run_that_breaks_off_counts_what_is_there() -> None:
    assert rle_segment_sizes(frame(b"\x05ab"), 1000) == [2]
    assert rle_segment_sizes(frame(b"\x00a\x81"), 1000) == [1]


def test_counting_ends_early_so_that_a_bomb_costs_nothing() -> None:
    assert rle_segment_sizes(frame(b"\x81z" * 1_000_000), 200) == [256]


def test_a_frame_without_a_whole_header_is_an_error() -> None:
    with pytest.raises(struct.error):
        rle_segment_sizes(b"garbage", 10)
