"""A report as PDF/A-2a and PDF/UA-1: archived as it is, and read aloud to whoever cannot see it.

Every text reaches the template as data (`sys.inputs`, JSON); nothing of it is ever source. The same document,
fonts and Typst give the same bytes: the only time in the file is that of the newest log entry it speaks of.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import fromstring

from registry.documents.fonts import font_set, require_glyphs
from registry.documents.typesetting import Standard, typeset
from registry.estimates.reports.blocks import Document, Picture

TEMPLATE: Final = Path(__file__).parent / "report.typ"
STANDARDS: Final[tuple[Standard, ...]] = ("a-2a", "ua-1")


def render_pdf(document: Document, font_dirs: Sequence[Path] = ()) -> bytes:
    """The document as PDF. A character that no font shows is refused by name (`GlyphMissing`), wherever it
    stands.
    """
    fonts = font_set(font_dirs)
    told = document.plain() | {"families": list(fonts.families)}
    for text in document.texts():
        require_glyphs(text, "report", font_dirs)
    for block in document.blocks:
        if isinstance(block, Picture):
            _require_picture(block, font_dirs)
    inputs = {"document": json.dumps(told, ensure_ascii=False, sort_keys=True)}
    return typeset(TEMPLATE, inputs, document.at, STANDARDS, font_dirs)


def _require_picture(picture: Picture, font_dirs: Sequence[Path]) -> None:
    """The words inside a picture, too."""
    for element in fromstring(picture.svg).iter():  # noqa: S314 - our own SVG, never a stranger's
        require_glyphs((element.text or "").strip(), "map", font_dirs)
