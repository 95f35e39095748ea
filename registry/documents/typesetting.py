"""Typst for papers other than certificates: a template, data and our fonts, and nothing of the machine's."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import typst

from registry.documents.fonts import font_set

Standard = Literal["a-2a", "ua-1"]
"""What a file holds itself to: archiving with its structure, and reading aloud."""


def typeset(
    template: Path,
    inputs: Mapping[str, str],
    at: datetime,
    standards: Sequence[Standard],
    font_dirs: Sequence[Path] = (),
) -> bytes:
    """The template as PDF with `inputs` as its data (`sys.inputs`). `at` is the only time in the file: the
    same arguments give the same bytes. Raises `FontsMissing`.
    """
    pdf: bytes = typst.compile(
        str(template),
        root=str(template.parent),
        font_paths=font_set(font_dirs).loaded,
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs=dict(inputs),
        pdf_standards=list(standards),
        timestamp=at.astimezone(UTC).replace(microsecond=0),
    )
    return pdf
