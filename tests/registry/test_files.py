"""Uploads are kept byte for byte under their digest."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.files import FileNotKept, FileStore


@given(content=st.binary(max_size=4096))
@settings(max_examples=25, deadline=None)
def test_a_file_comes_back_as_it_was(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = FileStore(tmp_path_factory.mktemp("files"))
    sha256, size_bytes = store.put(io.BytesIO(content))
    assert (sha256, size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert store.path(sha256).read_bytes() == content


def test_the_same_file_twice_is_kept_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    first, _ = store.put(io.BytesIO(b"land"))
    before = store.path(first).stat().st_mtime_ns
    again, _ = store.put(io.BytesIO(b"land"))
    assert again == first
    assert store.path(first).stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [first]


def test_a_writing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the line broke")

    with pytest.raises(OSError, match="the line broke"):
        FileStore(tmp_path).put(Breaking())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["", "0" * 63, "0" * 64, "../" + "0" * 61, "0" * 64 + "\n", "A" * 64])
def test_what_is_not_kept_is_refused_by_name(name: str, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert not store.holds(name)
    with pytest.raises(FileNotKept):
        store.path(name)


def test_a_removed_file_is_gone(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    sha256, _ = store.put(io.BytesIO(b"land"))
    store.remove(sha256)
    store.remove(sha256)
    assert not store.holds(sha256)
