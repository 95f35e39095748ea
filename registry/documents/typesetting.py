"""Typst for papers other than certificates: a template, data, our fonts; never the system's, never the clock."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typst

from registry.documents.fonts import font_set


def typeset(
    template: Path,
    inputs: Mapping[str, str],
    at: datetime,
    standards: Sequence[str],
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
