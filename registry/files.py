"""Files kept by their digest: what was uploaded, byte for byte.

A file is written whole under a name of its own, made durable, then put in its place; a file that is there
already is left alone. Nobody may rely on more than the digest: what a file is, whose it is and who may see
it stands in the rows that name it.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import IO, ClassVar, Final

from registry.errors import RegistryRefusal

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES: Final = 1 << 20


class FileNotKept(RegistryRefusal):
    code: ClassVar[str] = "file_not_kept"
    template: ClassVar[str] = "The file {sha256} is not kept here."


class FileStore:
    """A folder of files named by their SHA-256, in folders by its first two digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: IO[bytes]) -> tuple[str, int]:
        """Keep a file; answers its digest (hexadecimal) and its size in bytes. Again it changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, size_bytes = hashlib.sha256(), 0
        handle, name = tempfile.mkstemp(prefix=".incoming-", dir=self.folder)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                while chunk := content.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size_bytes += len(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            self._put_in_place(part, digest.hexdigest())
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest(), size_bytes

    def path(self, sha256: str) -> Path:
        """Where a kept file is (`FileNotKept`)."""
        place = self._place(sha256)
        if not place.is_file():
            raise FileNotKept(sha256=sha256[:64])
        return place

    def holds(self, sha256: str) -> bool:
        return bool(_SHA256.fullmatch(sha256)) and self._place(sha256).is_file()

    def remove(self, sha256: str) -> None:
        """Forget a file, if it is kept."""
        self._place(sha256).unlink(missing_ok=True)

    def _place(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise FileNotKept(sha256=sha256[:64])
        return self.folder / sha256[:2] / sha256

    def _put_in_place(self, part: Path, sha256: str) -> None:
        place = self._place(sha256)
        if place.is_file():
            return
        place.parent.mkdir(exist_ok=True)
        part.replace(place)
        for folder in (place.parent, self.folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
