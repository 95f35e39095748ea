"""The child process that looks into a stranger's image. Run as a script by `photographs.read`, never
imported by it.

It confines itself, reads the image's head and its EXIF without decoding a pixel, and prints one JSON object.
"""

import json
import resource
import sys
from typing import Any, Final

MEMORY_BYTES: Final = 1 << 30
SECONDS: Final = 5
MAX_PIXELS: Final = 250_000_000

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_TAKEN, _TAKEN_OFFSET = 0x9003, 0x9011
_LAT_REF, _LAT, _LON_REF, _LON, _TIME, _DATE = 1, 2, 3, 4, 7, 29


def confine() -> None:
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))


def particulars(path: str) -> dict[str, Any]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with Image.open(path, formats=("JPEG", "PNG", "WEBP", "TIFF")) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            return {"refused": f"{width} x {height} pixels"}
        exif = image.getexif()
        gps, shot = exif.get_ifd(_GPS_IFD), exif.get_ifd(_EXIF_IFD)
    place = _place(gps)
    return {"width": width, "height": height, "taken_at": _taken(gps, shot), **place}


def _place(gps: Any) -> dict[str, int]:
    """Longitude and latitude in 1e-7 degrees; nothing when they are absent or no place on Earth."""
    lat = _degrees(gps.get(_LAT), gps.get(_LAT_REF), "S", 90)
    lon = _degrees(gps.get(_LON), gps.get(_LON_REF), "W", 180)
    if lat is None or lon is None or (lat == 0 and lon == 0):
        return {}
    return {"lon_e7": lon, "lat_e7": lat}


def _degrees(parts: Any, reference: Any, negative: str, most: int) -> int | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
        value = round((degrees + minutes / 60 + seconds / 3600) * 10_000_000)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not 0 <= value <= most * 10_000_000:
        return None
    return -value if str(reference).strip().upper() == negative else value


def _taken(gps: Any, shot: Any) -> str | None:
    """The satellites' instant (UTC), else the camera's own, with its zone where it says one."""
    try:
        hour, minute, second = (int(float(part)) for part in gps[_TIME])
        year, month, day = (int(part) for part in str(gps[_DATE]).split(":"))
        return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        pass
    text = str(shot.get(_TAKEN) or "").strip("\x00 ")
    if len(text) != 19:
        return None
    stamp = text[:10].replace(":", "-") + "T" + text[11:]
    return stamp + str(shot.get(_TAKEN_OFFSET) or "").strip("\x00 ")[:6]


def main(path: str) -> None:
    confine()
    try:
        found = particulars(path)
    except MemoryError:
        found = {"refused": "it needs too much memory"}
    except Exception:  # whatever the decoder says of a stranger's file is one refusal
        found = {"refused": "it is damaged, not whole or far too large"}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
