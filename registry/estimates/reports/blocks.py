"""What a report is made of when it is words: sections of facts, tables, formulas and pictures.

Both renderers place these blocks and add nothing, so what stands in the HTML stands in the PDF. Every text is
data: neither renderer takes any of it for markup.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, Final, Literal

from registry.estimates.methods.uncertainty import EXACT
from registry.language import Language

Tone = Literal["", "bad", "warn", "good", "quiet"]
Align = Literal["left", "right", "center"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A text as it is set; `code` is for digests, ids and commands, which no language has words for."""

    text: str
    code: bool = False
    strong: bool = False
    tone: Tone = ""
    swatch: str = ""
    """A colour (`#rrggbb`) beside the text, as on the map."""


Said = str | Cell


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; `share` is its part of the free width, 0: as wide as its content."""

    title: str
    align: Align = "left"
    share: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and what they say."""

    rows: tuple[tuple[str, Cell], ...]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that a reader came for, and what it is counted in."""

    label: str
    figure: str
    unit: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Figures:
    items: tuple[Figure, ...]
    kind: str = "figures"


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] = ()
    caption: str = ""
    dense: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    tone: Tone = ""
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Callout:
    """Something that must not be overlooked."""

    title: str
    text: str
    tone: Tone
    kind: str = "callout"


@dataclass(frozen=True, slots=True)
class Formula:
    """An equation in words and letters, then with the run's numbers."""

    lines: tuple[str, ...]
    kind: str = "formula"


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[Cell, ...]
    kind: str = "bullets"


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG with its description for whoever cannot see it."""

    svg: str
    alt: str
    caption: str
    share_pct: int = 100
    kind: str = "picture"


@dataclass(frozen=True, slots=True)
class Signatures:
    """Places to sign: for each, who; the words for name, seal and date."""

    places: tuple[str, ...]
    words: tuple[str, ...]
    kind: str = "signatures"


Block = Facts | Figures | Table | Paragraph | Callout | Formula | Bullets | Picture | Signatures


@dataclass(frozen=True, slots=True)
class Section:
    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report in one language, ready to be placed. `page_words` has `{page}` and `{pages}`."""

    language: Language
    title: str
    subtitle: str
    running: str
    stamp: str
    stamp_tone: Tone
    stamp_text: str
    simulated: str
    simulated_text: str
    footer: str
    page_words: str
    contents_word: str
    author: str
    at: datetime
    lead: tuple[Block, ...]
    sections: tuple[Section, ...] = field(default=())

    @property
    def blocks(self) -> Iterator[Block]:
        yield from self.lead
        for section in self.sections:
            yield from section.blocks

    def plain(self) -> dict[str, Any]:
        """The document as JSON has it; the instant is left out, it goes into the file's metadata."""
        told = asdict(self)
        del told["at"]
        return told | {"language": self.language.value}

    def texts(self) -> list[str]:
        """Every text of the document that is set, pictures left out."""
        return list(_texts({key: value for key, value in self.plain().items() if key != "language"}))


_NOT_SET: Final = frozenset(
    {"kind", "svg", "alt", "tone", "stamp_tone", "align", "swatch", "anchor", "page_words", "author"}
)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            if key not in _NOT_SET:
                yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


# ---- words and numbers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says things in one language: `say("样地", "plots")`."""

    language: Language

    @property
    def chinese(self) -> bool:
        return self.language is Language.CHINESE

    def __call__(self, chinese: str, english: str, **facts: object) -> str:
        template = chinese if self.chinese else english
        return template.format(**facts) if facts else template

    @property
    def unknown(self) -> Cell:
        return Cell(self("未记录", "not recorded"), tone="quiet")

    def either(self, value: str | None, code: bool = False) -> Cell:
        """The text, or that there is none."""
        return self.unknown if value in (None, "") else Cell(str(value), code=code)

    def figure(self, value: Decimal | int | None, places: int, unit: str = "") -> Cell:
        if value is None:
            return self.unknown
        return Cell(f"{grouped(value, places)} {unit}".rstrip())

    def area(self, cm2: int) -> str:
        """An area: mu first for Chinese readers, hectares first for others."""
        area_mu, area_ha = f"{mu(cm2)} {self('亩', 'mu')}", f"{ha(cm2)} {self('公顷', 'ha')}"
        return self("{mu}（{ha}）", "{ha} ({mu})", mu=area_mu, ha=area_ha)

    def tonnes(self, value: Decimal | int | None) -> Cell:
        return self.figure(value, 3, "tCO2e")


def grouped(value: Decimal | int, places: int = 0) -> str:
    """A number with its thousands apart, rounded half to even; a minus sign, not a hyphen."""
    with localcontext() as context:
        context.prec, context.rounding = EXACT.prec, ROUND_HALF_EVEN
        rounded = Decimal(value).quantize(Decimal(1).scaleb(-places))
    return f"{'−' if rounded < 0 else ''}{rounded.copy_abs():,f}"


def significant(value: Decimal, digits: int = 5) -> str:
    """A number to so many digits that count: for means and errors. A large one is shown whole."""
    magnitude = value.adjusted() if value else 0
    places = 0 if magnitude >= digits else min(max(3, digits - 1 - magnitude), 8)
    return grouped(value, places)


def mu(cm2: int) -> str:
    return grouped(Decimal(cm2) * 15 / 10**8, 2)


def ha(cm2: int) -> str:
    return grouped(Decimal(cm2) / 10**8, 4)


def tonnes(kg: int) -> Decimal:
    """Whole kilograms in tonnes, exact."""
    return Decimal(kg).scaleb(-3)


def m2(cm2: int) -> str:
    return grouped(Decimal(cm2) / 10**4, 0)


def percent(ppm: int) -> str:
    """A share in parts per million as per cent, exact."""
    text = f"{Decimal(ppm) / 10_000:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def once(texts: Sequence[str], same: str) -> list[str]:
    """Texts of a column, in which what stands right above is not said again."""
    return [
        same if n and text == texts[n - 1] and len(text) > len(same) + 6 else text
        for n, text in enumerate(texts)
    ]


def cells(values: Sequence[Said]) -> tuple[Cell, ...]:
    return tuple(value if isinstance(value, Cell) else Cell(value) for value in values)
