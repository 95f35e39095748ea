"""Where and when a photograph was taken, as its EXIF says: read by a confined child (`exif_reader`)."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from registry.evidence.rules import PhotographUnreadable

SECONDS: Final = 10
_READER: Final = Path(__file__).with_name("exif_reader.py")


@dataclass(frozen=True, slots=True)
class Particulars:
    """`taken_at` is ISO 8601, with a zone where the file names one; the place in 1e-7 degrees of WGS 84."""

    taken_at: str | None = None
    lon_e7: int | None = None
    lat_e7: int | None = None


def read(path: Path) -> Particulars:
    """The EXIF of an image (`PhotographUnreadable`); a file without any has none."""
    command = [sys.executable, "-I", str(_READER), str(path.resolve())]
    try:
        done = subprocess.run(
            command,
            env={"LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise PhotographUnreadable(reason="it takes too long") from fault
    found = _answer(done.stdout if done.returncode == 0 else None)
    if refused := found.get("refused"):
        raise PhotographUnreadable(reason=refused)
    return Particulars(_instant(found.get("taken_at")), found.get("lon_e7"), found.get("lat_e7"))


def _answer(output: bytes | None) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(output or b"")
    except ValueError:
        return {"refused": "its reader was stopped"}
    return found


def _instant(text: str | None) -> str | None:
    """The one spelling of what the camera wrote; None for what is no instant."""
    try:
        return None if text is None else datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None
