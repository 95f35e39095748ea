"""The public page: where the land is, where the units are, what was logged last; readable without
JavaScript.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from babel.dates import format_datetime
from babel.numbers import format_decimal
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.orm import Session

from ledger import tables
from ledger.tiles import TileDirectory
from registry.clock import from_milliseconds
from registry.documents.mapping import parcel_map_svg
from registry.language import Language, translations
from registry.parcels.rules import mu_of_cm2
from registry.transparency.overview import STATES, entries, public_parcels, summary, villages
from registry.web.api import Now, Reader, Reading, Running, Services, tagged

TEMPLATES: Final = Path(__file__).parent / "templates"
SHOWN_ENTRIES: Final = 12
MAP_SIZE: Final = (900, 560)
MOST_DRAWN: Final = 4_000
LOCAL_TIME: Final = ZoneInfo("Asia/Shanghai")
LOCALES: Final = {Language.CHINESE: "zh_CN", Language.ENGLISH: "en"}

FAVICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" '
    'fill="#1d5c3c"/><path d="M16 4 6 19h6l-4 6h16l-4-6h6z" fill="#fbfaf5"/></svg>'
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Head:
    """The log as it was last published: size, root, and how old its newest entry is."""

    size: int
    root: str
    at: datetime
    age_s: int
    vkey: str
    fresh: bool


@router.head("/")
@router.get("/")
def home(running: Running, now: Now, session: Reading, language: Reader) -> HTMLResponse:
    total = summary(session)
    content = (
        environment(language)
        .get_template("home.html")
        .render(
            language=language.value,
            other=other_language(language),
            summary=total,
            states=STATES,
            area_mu=float(mu_of_cm2(total.area_cm2)),
            villages=villages(session),
            entries=entries(session, None, SHOWN_ENTRIES),
            head=head_of(running, session, now),
            now=now,
            simulated=running.clock.simulated,
        )
    )
    return HTMLResponse(
        content,
        headers={"Content-Language": language.value, "Cache-Control": "no-cache", "Vary": "Accept-Language"},
    )


@router.get("/map.svg")
def plain_map(request: Request, session: Reading) -> Response:
    """The parcels as an image, for whoever has no WebGL; those that are credited are filled. The first
    `MOST_DRAWN` by code: a picture of more would be of no use to anybody.
    """
    parcels = public_parcels(session, MOST_DRAWN)
    credited = {parcel.code for parcel in parcels if parcel.status == "enrolled"}
    svg = parcel_map_svg([parcel.for_map() for parcel in parcels], credited, *MAP_SIZE)
    return tagged(request, svg.encode(), "image/svg+xml", max_age=30)


def docs_page(openapi: str) -> str:
    """The API's documentation; nothing of it comes from elsewhere."""
    return environment(Language.ENGLISH).get_template("docs.html").render(openapi=openapi)


def head_of(running: Services, session: Session, now: datetime) -> Head | None:
    published = TileDirectory(running.home.log).published()
    head = session.execute(sa.select(tables.head.c.size, tables.head.c.at_ms)).one()
    if published is None:
        return None
    at = from_milliseconds(head.at_ms)
    age = max(0, int((now - at).total_seconds()))
    vkey = running.home.vkey.read_text().strip()
    return Head(published.size, published.root.hex(), at, age, vkey, published.size >= head.size)


def other_language(language: Language) -> tuple[str, str]:
    """The link to the other language: its tag and its own name."""
    return ("en", "English") if language is Language.CHINESE else ("zh", "中文")


# ---- templates ---------------------------------------------------------------------------------------------


@cache
def environment(language: Language) -> Environment:
    """Templates in one language: everything escaped, a missing value an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = translations(language)
    made.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
    locale = LOCALES[language]
    made.filters["count"] = lambda number: format_decimal(number, locale=locale)
    made.filters["mu"] = lambda number: format_decimal(number, format="#,##0.00", locale=locale)
    made.filters["yuan"] = lambda fen: format_decimal(fen / 100, format="#,##0.00", locale=locale)
    made.filters["instant"] = lambda at: format_datetime(
        at, "yyyy-MM-dd HH:mm:ss", tzinfo=LOCAL_TIME, locale=locale
    )
    made.filters["moment"] = lambda text: made.filters["instant"](datetime.fromisoformat(text))
    made.filters["age"] = lambda seconds: age(seconds, catalogue.gettext)
    made.filters["translated"] = catalogue.gettext
    made.filters["word"] = lambda code, kind: word(catalogue, code, kind)
    return made


def word(catalogue: Any, code: str, kind: str) -> str:
    """A code of the log in the reader's language: a machine, an action, a role or a state."""
    text: str = catalogue.pgettext(kind, code)
    return text.replace("_", " ") if text == code else text


def age(seconds: int, gettext: Any) -> str:
    """How long ago, in the largest unit that fits."""
    for template, length in (("{n} days ago", 86_400), ("{n} hours ago", 3_600), ("{n} minutes ago", 60)):
        if seconds >= 2 * length:
            return str(gettext(template)).format(n=seconds // length)
    return str(gettext("{n} seconds ago")).format(n=seconds)
