from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spinecare.errors import StoreError
from spinecare.store.files import FileStore

DATA = b"bytes of a scan"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def test_a_file_lies_under_its_hash(files: FileStore) -> None:
    assert files.put(DATA) == SHA256
    assert files.path(SHA256) == files.folder / SHA256[:2] / SHA256[2:4] / SHA256
    assert files.get(SHA256) == DATA
    assert SHA256 in files
    assert list(files.all()) == [SHA256]
    assert files.path(SHA256).stat().st_mode & 0o077 == 0


def test_twice_is_once(files: FileStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(files.put, [DATA] * 40)) == {SHA256}
    assert list(files.all()) == [SHA256]
    assert list((files.folder / "incoming").iterdir()) == []


def test_what_is_not_kept_is_gone(files: FileStore) -> None:
    with files.incoming() as file:
        file.write(DATA[:5])
        file.write(memoryview(DATA)[5:])
        assert (file.size, file.sha256) == (len(DATA), SHA256)
        assert file.start(5) == DATA[:5]
        assert file.read() == DATA
    assert list(files.all()) == []
    assert list((files.folder / "incoming").iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(files: FileStore) -> None:
    def breaks_off() -> None:
        with files.incoming() as file:
            file.write(DATA)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        breaks_off()
    assert list((files.folder / "incoming").iterdir()) == []


def test_it_is_on_the_disk_before_it_has_its_name(files: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        done.append("sync")
        sync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    files.put(DATA)
    assert done[:2] == ["sync", "name"]
    assert done.count("sync") >= 3, "the folders, too: else the name can be lost"


def test_a_changed_or_missing_file_is_not_given(files: FileStore) -> None:
    files.put(DATA)
    files.path(SHA256).write_bytes(DATA + b"!")
    with pytest.raises(StoreError, match="has changed on the disk"):
        files.get(SHA256)
    files.remove(SHA256)
    files.remove(SHA256)
    with pytest.raises(StoreError, match="is missing"):
        files.get(SHA256)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "", SHA256.upper(), SHA256 + "\n", "0" * 63])
def test_what_is_no_hash_is_no_path(files: FileStore, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        files.path(name)


def test_what_a_killed_process_left_half_written_is_no_file(files: FileStore) -> None:
    (files.folder / "incoming" / "tmpabc").write_bytes(b"half")
    assert list(files.all()) == []
