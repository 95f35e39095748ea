"""What decides a report's bytes: its facts, the language, and the code, template, words and fonts it is
made by.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from registry.documents.fonts import font_set
from registry.estimates.reports.facts import Report
from registry.language import CATALOGUES, Language

ROOM: Final = Path(__file__).parent
LIBRARIES: Final = ("typst", "jinja2", "matplotlib")


def edition_sha256(report: Report, language: Language, kind: str, font_dirs: Sequence[Path] = ()) -> str:
    """The digest of all that decides the file: reports of the same digest are the same to the byte."""
    told = "\n".join((repr(report), language.value, kind, _sources(), font_set(font_dirs).digest))
    return hashlib.sha256(told.encode()).hexdigest()


@lru_cache(maxsize=1)
def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted([*ROOM.glob("*.*"), *CATALOGUES.glob("*.po")]):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    return digest.hexdigest()
