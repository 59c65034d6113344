"""Archives that a clinic sends, and archives that somebody built to do harm."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from spinecare.errors import ScanError, UnreadableCode
from spinecare.io.archive import clean_name, members
from spinecare.settings import ArchiveLimits

SMALL = ArchiveLimits(max_files=5, max_file_bytes=8_000_000, max_total_bytes=10_000_000, max_ratio=100)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def opened(data: bytes, limits: ArchiveLimits = SMALL) -> list[tuple[str, bytes]]:
    return list(members(io.BytesIO(data), limits))


def code_of(data: bytes, limits: ArchiveLimits = SMALL) -> UnreadableCode:
    with pytest.raises(ScanError) as caught:
        opened(data, limits)
    return caught.value.code


def test_files_come_in_order_with_clean_names() -> None:
    files = {"CD/DICOM/IM1": b"one" * 99, "../../etc/passwd": b"two", "C:\\scans\\IM3.dcm": b"", "empty/": b""}
    assert opened(zipped(files)) == [("IM1", b"one" * 99), ("passwd", b"two"), ("IM3.dcm", b"")]


def test_what_a_mac_or_windows_adds_is_left_out() -> None:
    files = {"__MACOSX/._a.dcm": b"x", "a.dcm": b"scan", "b/.DS_Store": b"x", "Thumbs.db": b"x"}
    assert opened(zipped(files)) == [("a.dcm", b"scan")]


def test_links_are_left_out() -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.dcm", "scan")
    assert opened(out.getvalue()) == [("a.dcm", b"scan")]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("scan.dcm", "scan.dcm"),
        ("/abs/../x/scan.dcm", "scan.dcm"),
        ("a\\b\\scan.dcm", "scan.dcm"),
        ("harmless\u202egnp.exe", "harmlessgnp.exe"),
        ("a\x00b\x1b[31mc\r\n.dcm", "ab[31mc.dcm"),
        ("..", "file"),
        ("", "file"),
        ("x" * 500, "x" * 119 + "…"),
        ("Wirbelsa\u0308ule.dcm", "Wirbelsäule.dcm"),
    ],
)
def test_names_cannot_lead_astray(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_limits_hold_before_anything_is_inflated() -> None:
    assert code_of(zipped({f"{i}": b"x" for i in range(6)})) == UnreadableCode.TOO_COSTLY
    assert code_of(zipped({"a": bytes(8_000_001)})) == UnreadableCode.TOO_COSTLY
    assert code_of(zipped({"a": bytes(6_000_000), "b": bytes(6_000_000)})) == UnreadableCode.TOO_COSTLY
    assert code_of(zipped({})) == UnreadableCode.EMPTY_FILE


def test_a_member_that_grows_a_hundredfold_is_stopped() -> None:
    assert code_of(zipped({"a": bytes(7_000_000)})) == UnreadableCode.TOO_COSTLY
    assert opened(zipped({"a": bytes(2_000_000)})) == [("a", bytes(2_000_000))]  # a blank picture is no bomb


def lied(data: bytes, size: int) -> bytes:
    """The archive, saying in both headers that its only member has `size` bytes inflated."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, 22, size)
    struct.pack_into("<I", changed, data.index(b"PK\x01\x02") + 24, size)
    return bytes(changed)


def test_a_header_that_lies_about_its_size_is_not_believed() -> None:
    bomb = zipped({"a": bytes(50_000_000)})
    assert code_of(lied(bomb, 10)) == UnreadableCode.DAMAGED
    # And the other way round, the archive is read by what it really holds.
    assert opened(lied(zipped({"a": b"scan"}), 4000)) == [("a", b"scan")]


def overlapping(count: int) -> bytes:
    """`count` entries that all inflate the same bytes (after Fifield, USENIX WOOT 2019, in its simplest form)."""
    kernel = zipped({"a": bytes(1_000_000)})
    at = kernel.index(b"PK\x01\x02")
    entry = kernel[at : kernel.index(b"PK\x05\x06")]
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, count * len(entry), at, 0)
    return kernel[:at] + entry * count + end


def test_entries_that_share_their_bytes_are_refused() -> None:
    assert code_of(overlapping(2)) == UnreadableCode.TOO_COSTLY
    assert opened(overlapping(1))[0][1] == bytes(1_000_000)


def test_an_endless_table_of_contents_is_not_read() -> None:
    data = overlapping(60_000)
    assert code_of(data, ArchiveLimits()) == UnreadableCode.TOO_COSTLY


def test_an_archive_in_an_archive_stays_closed() -> None:
    inner = zipped({"deep": b"x"})
    assert opened(zipped({"inner.zip": inner})) == [("inner.zip", inner)]


def test_two_archives_in_one_are_refused() -> None:
    assert code_of(zipped({"a": b"1"}) + zipped({"b": b"2"})) == UnreadableCode.TOO_COSTLY
    assert code_of(b"MZ" + bytes(200) + zipped({"b": b"2"})) == UnreadableCode.TOO_COSTLY


def test_encrypted_and_odd_methods_are_named() -> None:
    plain = bytearray(zipped({"a": b"scan"}))
    plain[6] |= 1
    plain[plain.index(b"PK\x01\x02") + 8] |= 1
    assert code_of(bytes(plain)) == UnreadableCode.UNSUPPORTED_ENCODING
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert code_of(zipped({"a": b"scan" * 9}, method)) == UnreadableCode.UNSUPPORTED_ENCODING


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[:-30],
        lambda d: d[: len(d) // 2],
        lambda d: d.replace(b"a.dcm", b"b.dcm", 1),
        lambda d: d[:60] + bytes([d[60] ^ 255]) + d[61:],
        lambda d: b"",
        lambda d: b"PK\x03\x04" + bytes(100),
    ],
)
def test_damaged_archives_say_so(damage: Callable[[bytes], bytes]) -> None:
    assert code_of(damage(zipped({"a.dcm": bytes(range(256)) * 4}))) in {
        UnreadableCode.DAMAGED,
        UnreadableCode.TOO_COSTLY,
    }


def test_a_flipped_byte_never_raises_anything_else() -> None:
    data = zipped({"a.dcm": zlib.compress(bytes(range(256))), "b": b"scan" * 50})
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        with contextlib.suppress(ScanError):
            opened(bytes(changed))
