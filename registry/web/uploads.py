"""Files that come in by multipart upload: kept in a folder of their own only while they are looked at."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fastapi import UploadFile

_UNSAFE: Final = re.compile(r"[^\w.-]+")
_LONGEST_NAME: Final = 100


@contextmanager
def uploaded(upload: UploadFile) -> Iterator[Path]:
    """The upload as a file under its own name, made harmless; gone when the block ends."""
    folder, path = received(upload)
    with folder:
        yield path


def received(upload: UploadFile) -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """The upload as a file under its own name, made harmless, in a folder that the caller cleans up."""
    folder = tempfile.TemporaryDirectory(prefix="tanhui-upload-")
    try:
        path = Path(folder.name) / safe_name(upload.filename or "")
        with path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
    except BaseException:
        folder.cleanup()
        raise
    return folder, path


def safe_name(name: str) -> str:
    """The last part of a file's name in letters, digits, `.`, `_` and `-`, its ending kept."""
    plain = _UNSAFE.sub("_", re.split(r"[\\/]", name)[-1]).lstrip(".")
    return plain[-_LONGEST_NAME:] or "upload"
