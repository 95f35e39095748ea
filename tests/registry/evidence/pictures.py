"""Photographs as phones make them."""

from io import BytesIO
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import IFDRational


def degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds, seconds to 1e-5."""
    whole = int(value)
    minutes = int((value - whole) * 60)
    seconds = (value - whole - minutes / 60) * 3600
    return IFDRational(whole), IFDRational(minutes), IFDRational(round(seconds * 100_000), 100_000)


def exif(
    lon: float | None = None, lat: float | None = None, shot: dict[int, Any] | None = None
) -> Image.Exif:
    made = Image.Exif()
    if lon is not None and lat is not None:
        gps = made.get_ifd(IFD.GPSInfo)
        gps |= {
            1: "S" if lat < 0 else "N",
            2: degrees(abs(lat)),
            3: "W" if lon < 0 else "E",
            4: degrees(abs(lon)),
        }
        made[IFD.GPSInfo] = gps
    if shot:
        made[IFD.Exif] = shot
    return made


def photograph(kind: str = "JPEG", *, marked: Image.Exif | None = None, colour: int = 0) -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 48), (colour, 120, 60)).save(out, kind, exif=marked or Image.Exif())
    return out.getvalue()
