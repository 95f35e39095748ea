"""A report as one HTML file: styles and pictures inside, no script, nothing fetched from anywhere."""

from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from registry.estimates.reports.blocks import Document

TEMPLATE: Final = Path(__file__).parent / "report.html"
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups allow-downloads"
)
"""The content security policy that the file is served with: it may show itself and nothing else."""
BREAK_AFTER: Final = 16


def render_html(document: Document) -> bytes:
    """The document as UTF-8. Pure: the same document gives the same bytes."""
    return _template().render(document=document, language=document.language.value).encode()


@cache
def _template() -> Template:
    made = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["said"] = said
    made.filters["code"] = code
    made.filters["picture"] = picture
    return made.get_template(TEMPLATE.name)


def said(text: str) -> Markup:
    """A text with its chemistry set as chemists do."""
    return Markup("CO<sub>2</sub>").join(escape(part) for part in text.split("CO2"))


def code(text: str) -> Markup:
    """A digest, id or command: a long one may break after every 16th character."""
    parts = [escape(text[n : n + BREAK_AFTER]) for n in range(0, len(text), BREAK_AFTER)]
    return Markup("<wbr>").join(parts)


def picture(svg: str) -> Markup:
    """Our own SVG, in place: what comes before its first tag belongs to files, not to pages."""
    return Markup(svg[svg.index("<svg") :])  # noqa: S704 - made by this room, every text in it escaped
