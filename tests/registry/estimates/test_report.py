"""What a report says, in either language and format, and what it never says."""

import hashlib
import io
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from registry.documents.errors import GlyphMissing
from registry.documents.mapping import Ring
from registry.estimates.methods import plot_checks
from registry.estimates.methods.parameters import bamboo_parameters, default_parameters
from registry.estimates.reports.blocks import (
    Document,
    Facts,
    Picture,
    Speaker,
    Table,
    grouped,
    percent,
    significant,
)
from registry.estimates.reports.document import compose
from registry.estimates.reports.facts import Report, SaturationFact, Standing
from registry.estimates.reports.html import render_html
from registry.estimates.reports.map import MapWords, report_map_svg
from registry.estimates.reports.pdf import render_pdf
from registry.estimates.reports.sources import edition_sha256
from registry.estimates.reports.words import FINDINGS, PARAMETERS, UNITS, source, stand_type
from registry.language import Language
from tests.registry.estimates.report_facts import ESTIMATE_KG, made_report, subject, unpictured

BOTH = pytest.mark.parametrize("language", list(Language))
CJK = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
SYMBOLS = {
    *("kg", "km", "ha", "tC", "tCO", "CO", "cm", "SHA", "EPSG", "CGCS", "CLCD", "SD", "SE", "df", "DR"),
    *("PE", "LK", "AGB", "BEF", "CF", "DBH", "du", "agb", "GEOS", "GDAL", "NumPy", "PROJ", "Python"),
    *("Shapely", "tanhui", "doi", "ppm", "ZJ", "PH", "Org", "stxb", "cjpe"),
    "cdcdcdcdcdcdcdcd",  # the digest in the footer
}
"""Letters that Chinese papers write as they are: units, quantities of equations, names."""


class _Words(HTMLParser):
    """The text of a page as a reader sees it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.tags: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hidden += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def squeezed(text: str) -> str:
    """Letters alone: line breaks are a matter of paper."""
    return re.sub(r"[\s\u200b\u00ad]", "", text)


def words_of(html: bytes) -> str:
    parser = _Words()
    parser.feed(html.decode())
    return squeezed("".join(parser.parts))


def pages_of(pdf: bytes) -> list[str]:
    return [squeezed(page.extract_text()) for page in PdfReader(io.BytesIO(pdf)).pages]


@pytest.fixture(scope="module")
def documents() -> dict[Language, Document]:
    return {language: compose(made_report(), language) for language in Language}


@pytest.fixture(scope="module")
def pdfs(documents: dict[Language, Document]) -> dict[Language, bytes]:
    return {language: render_pdf(document) for language, document in documents.items()}


@pytest.fixture(scope="module")
def pages(documents: dict[Language, Document]) -> dict[Language, bytes]:
    return {language: render_html(document) for language, document in documents.items()}


# ---- the same in both formats and languages ----------------------------------------------------------------


@BOTH
def test_what_stands_in_the_html_stands_in_the_pdf(
    language: Language,
    documents: dict[Language, Document],
    pages: dict[Language, bytes],
    pdfs: dict[Language, bytes],
) -> None:
    html, pdf = words_of(pages[language]), "".join(pages_of(pdfs[language]))
    texts = [squeezed(text) for text in documents[language].texts()]
    assert len(texts) > 250
    assert [text for text in texts if text not in html] == []
    assert [text for text in texts if text not in pdf and not _over_pages(text, pdf)] == []


def _over_pages(text: str, pdf: str) -> bool:
    """A long text may be cut by the end of a page; its halves are there then."""
    half = len(text) // 2
    return len(text) > 40 and text[: half // 2] in pdf and text[-half // 2 :] in pdf


def test_the_languages_have_the_same_figures_in_the_same_sections(
    documents: dict[Language, Document],
) -> None:
    chinese, english = (documents[language] for language in Language)
    assert [one.anchor for one in chinese.sections] == [one.anchor for one in english.sections]
    for one, other in zip(chinese.sections, english.sections, strict=True):
        assert [block.kind for block in one.blocks] == [block.kind for block in other.blocks]
    assert _figures(chinese) == _figures(english)


def _figures(document: Document) -> list[str]:
    """Every number with thousands or decimals in tables."""
    found = [
        cell.text
        for block in document.blocks
        if isinstance(block, Table)
        for row in block.rows
        for cell in row
        if re.fullmatch(r"−?[\d,]+(\.\d+)?( %)?", cell.text)
    ]
    return sorted(found)


@BOTH
def test_no_word_of_the_other_language_leaks(language: Language, documents: dict[Language, Document]) -> None:
    told = documents[language].plain()
    texts = [text for text in _spoken(told) if text not in ("方案一", "Programme one")]
    if language is Language.ENGLISH:
        assert [text for text in texts if CJK.search(text)] == []
    else:
        words = {word for text in texts for word in re.findall(r"[A-Za-z]{2,}", text)}
        assert words - SYMBOLS == set()


def _spoken(value: Any) -> list[str]:
    """The texts that are words: no codes, ids and digests, no names of the case, no SVG."""
    if isinstance(value, dict):
        if value.get("code") is True:
            return []
        skipped = ("kind", "svg", "tone", "stamp_tone", "align", "swatch", "anchor", "language", "author")
        return [text for key, part in value.items() if key not in skipped for text in _spoken(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _spoken(part)]
    return [value.replace("{page}", "").replace("{pages}", "")] if isinstance(value, str) else []


@pytest.mark.parametrize("parameters", [default_parameters(), bamboo_parameters()])
def test_every_parameter_has_chinese_words_unit_and_source(parameters: Any) -> None:
    say = Speaker(Language.CHINESE)
    rows = [
        *parameters.settings.rows.values(),
        *(parameters.bamboo.rows.values() if parameters.bamboo else ()),
    ]
    assert {row.code for row in rows if not row.code.startswith("site_factor")} <= set(PARAMETERS)
    assert {row.unit for row in rows} <= set(UNITS)
    rows += [*parameters.stand_types.rows.values(), *parameters.linear_biomass.rows.values()]
    untold = {
        row.source
        for row in [*rows, *parameters.deduction_rules.rows.values()]
        if not CJK.search(source(say, row.source)) and not re.fullmatch(r"[ER]-\w+", row.source)
    }
    assert untold == set()


def test_everything_that_checks_of_plots_find_has_words() -> None:
    text = Path(plot_checks.__file__).read_text(encoding="utf-8")
    codes = set(re.findall(r'Finding\(\s*"([a-z_]+)"', text))
    assert codes
    assert codes <= set(FINDINGS)


# ---- what is said ------------------------------------------------------------------------------------------


@BOTH
def test_every_page_says_the_tier_and_that_the_clock_is_simulated(
    language: Language, documents: dict[Language, Document], pdfs: dict[Language, bytes]
) -> None:
    document, found = documents[language], pages_of(pdfs[language])
    assert len(found) > 4
    for number, page in enumerate(found, start=1):
        assert squeezed(document.stamp) in page
        assert squeezed(document.simulated) in page
        assert squeezed(document.page_words.format(page=number, pages=len(found))) in page


@pytest.mark.parametrize(
    ("changed", "standing", "stamp"),
    [
        ({"tier": "screening", "outcome": None}, Standing.SCREENING, "SCREENING · NOT FOR ISSUANCE"),
        ({"tier": "ex_ante", "outcome": None}, Standing.EX_ANTE, "EX ANTE FORECAST · NOT FOR ISSUANCE"),
        ({"result": "reject_more_plots"}, Standing.TOO_UNCERTAIN, "TOO UNCERTAIN · NOT FOR ISSUANCE"),
        ({"outcome": None}, Standing.PROVEN, "MEASURED BY PLOTS · NOT VERIFIED · NOT FOR ISSUANCE"),
        (
            {"status": "superseded", "superseded_by": "R-2"},
            Standing.SUPERSEDED,
            "SUPERSEDED · NOT FOR ISSUANCE",
        ),
        ({}, Standing.VERIFIED, "VERIFIED"),
    ],
)
def test_only_what_a_verifier_signed_is_not_stamped_as_unfit_for_issuance(
    changed: dict[str, Any], standing: Standing, stamp: str
) -> None:
    report = unpictured(**changed)
    assert report.standing is standing
    assert compose(report, Language.ENGLISH).stamp == stamp
    chinese = compose(report, Language.CHINESE)
    assert ("不得签发" in chinese.stamp) is (standing is not Standing.VERIFIED)
    fit = standing in (Standing.PROVEN, Standing.VERIFIED)
    assert ("可签发估算量" in chinese.texts()) is fit


def test_the_chain_shows_each_line_to_the_kilogram_and_as_it_was_computed(
    documents: dict[Language, Document],
) -> None:
    section = next(one for one in documents[Language.ENGLISH].sections if one.anchor == "chain")
    table = next(block for block in section.blocks if isinstance(block, Table))
    by_line = {row[0].text: [cell.text for cell in row[3:]] for row in table.rows}
    assert by_line["1"] == ["3,438.286", "3,438,286", "3438.2857142857"]
    assert by_line["4"] == ["1,059.486", "1,059,486", "1059.48571428571"]
    assert by_line["9"] == ["2,366.800", "2,366,800", "2366.8"]
    assert table.rows[3][3].tone == "bad"  # the baseline is a placeholder
    assert any("placeholder" in getattr(block, "text", "") for block in section.blocks)


def test_the_shares_of_the_parcels_add_up_and_the_report_does_the_sums_again() -> None:
    report = unpictured(7, strata=made_report().strata)
    assert sum(parcel.estimate_kg for parcel in report.parcels) == ESTIMATE_KG
    assert {check.name: check.holds for check in report.checks} == {
        "shares": True, "net": True, "issuable": True, "strata_area": True,
    }  # fmt: skip
    first = replace(report.parcels[0], estimate_kg=report.parcels[0].estimate_kg + 1)
    wrong = replace(report, strata=(), parcels=(first, *report.parcels[1:]))
    assert [check.name for check in wrong.checks if not check.holds] == ["shares"]
    assert "differs" in compose(wrong, Language.ENGLISH).texts()


def test_a_run_of_172_parcels_has_them_all_on_pages_with_a_heading() -> None:
    document = compose(unpictured(172), Language.CHINESE)
    found = pages_of(render_pdf(document))
    assert len(found) < 15
    for number in (1, 86, 172):
        assert any(f"330802-{number:04d}" in page for page in found)
    with_parcels = [page for page in found if "330802-0" in page]
    assert len(with_parcels) > 2
    assert all("估算量kgCO2e" in page for page in with_parcels)


@BOTH
def test_what_a_record_does_not_say_reads_as_not_recorded(language: Language) -> None:
    bare = made_report(
        second_opinion=None, screening=None, findings=None, time=None, plot_changes=None, software={},
        plots=None, change=None, strata=(), outcome=None, tier="screening", chain=(), land_covers=(),
        rasters=tuple(
            replace(one, unit=None, band=None, error_model=None, licence=None, crs=None, resolution=None)
            for one in made_report().rasters
        ),
        method=replace(
            made_report().method, known=False, biomass=None, estimator=None, deduction_rule=None,
            code_version=None, deduction_steps=(), rows=(),
        ),
    )  # fmt: skip
    document = compose(bare, language)
    assert document.texts().count(Speaker(language)("未记录", "not recorded")) > 10
    assert words_of(render_html(document))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"tier": "screening", "change": None}, "E-R2"),
        ({}, "E-U1"),
        ({"saturation": SaturationFact(*[Decimal(1)] * 6)}, "E-U1, E-F7"),
    ],
)
def test_the_first_line_says_how_the_change_was_measured(changed: dict[str, Any], rule: str) -> None:
    sections = compose(unpictured(**changed), Language.CHINESE).sections
    chain = next(one for one in sections if one.anchor == "chain")
    table = next(block for block in chain.blocks if isinstance(block, Table))
    assert table.rows[0][2].text == rule


def test_bamboo_that_fills_up_shows_its_cap() -> None:
    found = SaturationFact(*(Decimal(value) for value in ("24.5", "30.0", "5000", "4200.5", "4000", "200.5")))
    section = next(
        one
        for one in compose(unpictured(saturation=found), Language.ENGLISH).sections
        if one.anchor == "chain"
    )
    facts = next(block for block in section.blocks if isinstance(block, Facts))
    assert [value.text for _, value in facts.rows] == [
        "24.500 / 30.000 tC/ha", "5,000.000 tCO2e", "4,200.500 tCO2e", "4,000.000 tCO2e", "200.500 tCO2e",
    ]  # fmt: skip


def test_a_loss_and_a_deduction_are_shown_as_such() -> None:
    terms = replace(made_report().terms, risk_mode="deduct", buffer_ppm=0, withheld_ppm=100_000)
    texts = compose(unpictured(loss_kg=4_500, terms=terms), Language.ENGLISH).texts()
    assert "loss of stock (a reversal)" in texts
    assert "4,500" in texts
    assert "issuable = line 7 − line 8, down to the kilogram" in texts


# ---- what is never said ------------------------------------------------------------------------------------


HOSTILE = '<script>alert(1)</script>#panic()"]$x$\\u{0}{{ 7*7 }}'


def hostile() -> Report:
    report = unpictured(
        subject=replace(subject(), project_name=HOSTILE, owner=HOSTILE, programme_name_en=HOSTILE)
    )
    village = tuple(replace(one, village=HOSTILE, code=HOSTILE) for one in report.parcels)
    assert report.outcome is not None
    return replace(report, parcels=village, outcome=replace(report.outcome, findings=HOSTILE))


def test_a_name_is_never_code() -> None:
    document = compose(hostile(), Language.ENGLISH)
    page = render_html(document)
    parser = _Words()
    parser.feed(page.decode())
    assert "script" not in parser.tags
    assert squeezed(HOSTILE) in words_of(page)
    assert squeezed(HOSTILE) in "".join(pages_of(render_pdf(document)))


def test_the_page_fetches_nothing_and_runs_nothing(pages: dict[Language, bytes]) -> None:
    for language, page in pages.items():
        text = page.decode()
        parser = _Words()
        parser.feed(text)
        assert not {"script", "link", "iframe", "object", "img", "form"} & set(parser.tags)
        addresses = re.findall(r'(?:href|src)="([^"]*)"', text)
        assert [one for one in addresses if not one.startswith("#")] == []
        assert "url(http" not in text and "@import" not in text
        assert f'<html lang="{language.value}">' in text


def test_a_character_that_no_font_shows_is_refused_by_name() -> None:
    report = unpictured(subject=replace(subject(), owner="\U00020bb7村"))
    with pytest.raises(GlyphMissing) as refused:
        render_pdf(compose(report, Language.CHINESE))
    assert refused.value.facts["codepoint"] == "U+20BB7"
    assert render_html(compose(report, Language.CHINESE))  # a browser has fonts of its own


@BOTH
def test_an_outline_that_may_not_be_seen_is_not_drawn(language: Language) -> None:
    report = unpictured(3)
    hidden = replace(report.parcels[1], rings=None, village=None, masked=True, exact=False)
    document = compose(replace(report, parcels=(report.parcels[0], hidden, report.parcels[2])), language)
    (drawing,) = [
        block for block in document.blocks if isinstance(block, Picture) and "<title>1 " in block.svg
    ]
    assert "<title>2 " not in drawing.svg
    assert Speaker(language)("受保护、未绘制的地块：2。", "Parcels that are protected and not drawn: 2.") in (
        document.texts()
    )


def test_a_map_without_any_outline_is_left_out() -> None:
    report = unpictured()
    document = compose(
        replace(report, parcels=tuple(replace(one, rings=None) for one in report.parcels)), Language.ENGLISH
    )
    assert "There is no outline that may be drawn." in document.texts()


# ---- the files ---------------------------------------------------------------------------------------------


@BOTH
def test_the_pdf_is_for_archives_and_for_reading_aloud(
    language: Language, pdfs: dict[Language, bytes]
) -> None:
    reader = PdfReader(io.BytesIO(pdfs[language]))
    metadata = reader.xmp_metadata
    assert metadata is not None
    told = metadata.stream.get_data().decode()
    assert re.search(r"<pdfaid:part>2</pdfaid:part>\s*<pdfaid:conformance>A</pdfaid:conformance>", told)
    assert "<pdfuaid:part>1</pdfuaid:part>" in told
    root: Any = reader.trailer["/Root"]
    assert str(root["/Lang"]).lower().startswith(language.value[:2])
    assert len(reader.outline) == 14
    fonts = [font for page in reader.pages for font in _fonts(page)]
    assert len(fonts) > 10
    assert all({"/FontFile2", "/FontFile3"} & set(font) for font in fonts)


def _fonts(page: Any) -> list[Any]:
    """The descriptors of a page's fonts; one with a file in it is embedded."""
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].get_object().values()]
    return [one.get_object()["/FontDescriptor"] for font in fonts for one in font["/DescendantFonts"]]


@BOTH
def test_the_same_facts_give_the_same_bytes(
    language: Language, pdfs: dict[Language, bytes], pages: dict[Language, bytes]
) -> None:
    again = compose(made_report(), language)
    assert render_pdf(again) == pdfs[language]
    assert render_html(again) == pages[language]


def test_an_edition_is_known_by_its_facts_language_and_format() -> None:
    report = made_report()
    editions = {
        edition_sha256(one, language, kind)
        for one in (report, replace(report, estimate_kg=1))
        for language in Language
        for kind in ("html", "pdf")
    }
    assert len(editions) == 8
    assert edition_sha256(made_report(), Language.ENGLISH, "pdf") in editions


GOLDEN = {Language.CHINESE: "7b31d3f06ec08ff1", Language.ENGLISH: "1031ffc5fa8b189d"}
"""The text of a report of fixed facts. It changes with its words only: look at what changed, then set it."""


@BOTH
def test_the_text_of_the_pdf_is_the_one_that_was_looked_at(
    language: Language, documents: dict[Language, Document]
) -> None:
    told = "\n".join(documents[language].texts())
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == GOLDEN[language]


# ---- numbers -----------------------------------------------------------------------------------------------


def test_numbers_have_thousands_a_minus_sign_and_no_false_digits() -> None:
    assert grouped(Decimal("1234567.8915"), 3) == "1,234,567.892"
    assert grouped(Decimal("-12.5"), 0) == "−12"
    assert grouped(Decimal("9" * 40 + ".5"), 1).endswith("999.5")
    assert [percent(ppm) for ppm in (300_000, 44_714, 0)] == ["30 %", "4.4714 %", "0 %"]
    assert [significant(Decimal(text)) for text in ("0.00012345", "6.64803", "22584065", "0")] == [
        "0.00012345", "6.6480", "22,584,065", "0.0000",
    ]  # fmt: skip


def test_chinese_readers_see_mu_first_and_others_hectares() -> None:
    assert Speaker(Language.CHINESE).area(10**8) == "15.00 亩（1.0000 公顷）"
    assert Speaker(Language.ENGLISH).area(10**8) == "1.0000 ha (15.00 mu)"
    assert stand_type(Speaker(Language.ENGLISH), "chinese_fir") == "Chinese fir"


def test_a_parcel_around_another_has_its_number_on_its_own_ground() -> None:
    report = unpictured(2)
    around, within = (_square(half) for half in (0.004, 0.002))
    parcels = (
        replace(report.parcels[0], rings=(around, within)),
        replace(report.parcels[1], rings=(within,)),
    )
    svg = report_map_svg(parcels, (), MapWords("map", {code: code for code in report.by_stand_type}, "plot"))
    assert svg is not None
    places = dict(re.findall(r'<text x="([\d.]+)"[^>]*fill="#24332c"[^>]*>(\d)</text>', svg))
    assert sorted(places.values()) == ["1", "2"]  # two places: the numbers do not lie on each other


def _square(half: float) -> Ring:
    east, north = 118.80, 28.93
    corners = ((-half, -half), (half, -half), (half, half), (-half, half))
    return tuple((round((east + x) * 10**7), round((north + y) * 10**7)) for x, y in corners)
