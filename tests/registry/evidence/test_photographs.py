"""Place and time come from a photograph's EXIF, read by a child that cannot hurt anybody."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.evidence.exif_reader import _degrees, particulars
from registry.evidence.photographs import Particulars, read
from registry.evidence.rules import PhotographUnreadable, found_type, media_type_of
from tests.registry.evidence.pictures import degrees, exif, photograph


def written(folder: Path, content: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(content)
    return path


def test_a_phones_photograph_says_where_and_when(tmp_path: Path) -> None:
    marked = exif(118.8765432, 28.9512345, {0x9003: "2024:05:06 07:08:09", 0x9011: "+08:00"})
    found = read(written(tmp_path, photograph(marked=marked)))
    assert found.taken_at == "2024-05-06T07:08:09+08:00"
    assert found.lon_e7 == pytest.approx(1188765432, abs=2)
    assert found.lat_e7 == pytest.approx(289512345, abs=2)


def test_a_photograph_that_went_through_a_messenger_says_nothing(tmp_path: Path) -> None:
    assert read(written(tmp_path, photograph())) == Particulars()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_other_kinds_are_read_too(kind: str, tmp_path: Path) -> None:
    found = read(written(tmp_path, photograph(kind, marked=exif(118.5, 29.0))))
    assert (found.lon_e7, found.lat_e7) == (1_185_000_000, 290_000_000)


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
@settings(max_examples=100, deadline=None)
def test_degrees_minutes_and_seconds_come_back(lon: float, lat: float) -> None:
    assert _degrees(degrees(abs(lon)), "W" if lon < 0 else "E", "W", 180) == pytest.approx(lon * 1e7, abs=2)
    assert _degrees(degrees(abs(lat)), "S" if lat < 0 else "N", "S", 90) == pytest.approx(lat * 1e7, abs=2)


@pytest.mark.parametrize(
    "parts", [None, (1,), (1, 2, "x"), (float("nan"), 0, 0), (181, 0, 0), ("1", 0, 1e400)]
)
def test_a_place_that_is_none_is_left_out(parts: object) -> None:
    assert _degrees(parts, "E", "W", 180) is None


def test_a_date_that_is_none_is_left_out(tmp_path: Path) -> None:
    marked = exif(118.5, 29.0, {0x9003: "0000:00:00 00:00:00"})
    assert read(written(tmp_path, photograph(marked=marked))).taken_at is None


def test_the_sea_off_africa_is_a_phone_without_satellites(tmp_path: Path) -> None:
    assert read(written(tmp_path, photograph(marked=exif(0.0, 0.0)))).lon_e7 is None


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0 nothing more",
        photograph("PNG")[:20],
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"II*\x00\xff\xff\xff\xff",
    ],
    ids=["jpeg", "png", "webp", "tiff"],
)
def test_half_an_image_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(PhotographUnreadable, match="damaged, not whole"):
        read(written(tmp_path, content))


def test_a_picture_of_a_million_by_a_million_pixels_is_refused_at_once(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    body = b"IDAT" + zlib.compress(b"\x00" * 1000)
    bomb += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(PhotographUnreadable):
        read(written(tmp_path, bomb))


def test_the_reader_answers_what_it_saw_of_the_image_itself(tmp_path: Path) -> None:
    found = particulars(str(written(tmp_path, photograph())))
    assert (found["width"], found["height"]) == (64, 48)


@pytest.mark.parametrize(
    ("start", "media_type", "name"),
    [
        (b"\xff\xd8\xff\xe1", "image/jpeg", ""),
        (b"\x89PNG\r\n\x1a\n", "image/png", ""),
        (b"%PDF-1.7", "application/pdf", ""),
        (b"\x00\x00\x00\x18ftypheic", None, "HEIC"),
        (b"PK\x03\x04", None, "ZIP"),
        (b"MZ\x90\x00", None, "unknown"),
        (b"<svg xmlns=", None, "unknown"),
        (b"", None, "empty"),
    ],
)
def test_a_file_is_what_its_first_bytes_say(start: bytes, media_type: str | None, name: str) -> None:
    assert media_type_of(start) == media_type
    if media_type is None:
        assert found_type(start) == name
