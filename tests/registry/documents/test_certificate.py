"""The certificate as a PDF: readable, complete, archivable, and the same file whenever it is printed."""

import hashlib
import io
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from registry.documents import fonts
from registry.documents.certificate import CertificateContent, SerialLine, render_pdf, renderer
from registry.documents.errors import CertificateContentInvalid, FontsMissing, GlyphMissing
from registry.documents.fonts import font_set, missing_characters, require_glyphs

if TYPE_CHECKING:
    from tests.registry.documents.conftest import Samples

FILES = {
    "a.tlog-proof": b"c2sp.org/tlog-proof@v1\n",
    "a.entry": b"{}",
    "a.statement.json": b'{"a":1}',
    "b.bin": b"\x00\xff",
}


def text_of(pdf: bytes) -> str:
    """All text of all pages without white space, which a PDF does not keep."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    return "".join("".join(page.extract_text() for page in pages).replace("\u200b", "").split())


def render(content: CertificateContent) -> bytes:
    return render_pdf(content, FILES, content.retired_at)


def test_it_says_in_chinese_and_english_who_retired_what(samples: "Samples") -> None:
    text = text_of(render(samples.content()))
    for said in (
        "碳汇注销证书",
        "CertificateofCarbonSinkRetirement",
        "QZP1-RC-000017",
        "浙江示例纺织有限公司",
        "91330800MA2DEMO017",
        "63,000千克二氧化碳当量",
        "2026年3月2日11:04:05",  # Asia/Shanghai
        "2026-03-02T03:04:05Z",
        "2025-01-01–2025-12-31",  # the half-open claim period, shown with its last day
        "柯城衢江三村杉木碳汇项目",
        "示例林业调查规划院有限公司",
        "自愿抵消",
        "石门坑村",
        "165.00",  # 110,000 m² in mu
        "11.0000",  # and in hectares
        "registry.example/tanhui",
        "https://registry.example/verify/QZP1-RC-000017",
        "ab" * 32,
        samples.serial(1, 10, 2024, 1),
    ):
        assert said in text, said


def test_the_simulated_clock_shows_on_every_page_and_only_then(samples: "Samples") -> None:
    simulated, real = (
        PdfReader(io.BytesIO(render(samples.content(60, simulated=flag)))) for flag in (True, False)
    )
    assert len(simulated.pages) > 2
    assert all("模拟 / SIMULATED" in page.extract_text() for page in simulated.pages)
    assert not any("模拟" in page.extract_text() for page in real.pages)


def test_it_is_archivable_and_its_fonts_are_inside(samples: "Samples") -> None:
    pdf = render(samples.content())
    reader = PdfReader(io.BytesIO(pdf))
    assert b"<pdfaid:part>3</pdfaid:part>" in pdf
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in pdf
    names = set()
    for page in reader.pages:
        resources = page["/Resources"]
        assert isinstance(resources, DictionaryObject)
        fonts_used = resources["/Font"]
        assert isinstance(fonts_used, DictionaryObject)
        for font in fonts_used.values():
            (descendant,) = font.get_object()["/DescendantFonts"]
            descriptor = descendant.get_object()["/FontDescriptor"]
            assert {"/FontFile2", "/FontFile3"} & set(descriptor)
            names.add(str(descriptor["/FontName"]))
    assert any("NotoSansSC" in name for name in names)


def test_its_proof_travels_inside_it(samples: "Samples") -> None:
    attachments = PdfReader(io.BytesIO(render(samples.content()))).attachments
    assert {name: contents for name, (contents,) in attachments.items()} == FILES


def test_printing_it_again_gives_the_same_file(samples: "Samples") -> None:
    content = samples.content()
    assert render(content) == render(content)
    assert render(content) != render(samples.content(beneficiary="另一家公司"))


def test_another_process_prints_the_same_file(samples: "Samples", tmp_path: Path) -> None:
    script = (
        "import sys, hashlib\n"
        "from importlib.util import module_from_spec, spec_from_file_location\n"
        "spec = spec_from_file_location('samples', sys.argv[1]); samples = module_from_spec(spec)\n"
        "sys.modules['samples'] = samples; spec.loader.exec_module(samples)\n"
        "from registry.documents.certificate import render_pdf\n"
        "content = samples.make_content()\n"
        "print(hashlib.sha256(render_pdf(content, {'a.entry': b'{}'}, content.retired_at)).hexdigest())\n"
    )
    root = Path(__file__).parents[3]
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "TZ": "America/New_York",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "7",
    }
    output = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).with_name("conftest.py"))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    content = samples.content()
    here = render_pdf(content, {"a.entry": b"{}"}, content.retired_at)
    assert output.strip() == hashlib.sha256(here).hexdigest()


def test_two_hundred_parcels_fill_pages_and_none_is_lost(samples: "Samples") -> None:
    for parcels in (172, 200):
        pdf = render(samples.content(parcels))
        text = text_of(pdf)
        assert all(f"330802-{number:04d}" in text for number in range(1, parcels + 1))
        assert len(PdfReader(io.BytesIO(pdf)).pages) < 9


@pytest.mark.parametrize(
    "name",
    [
        "#panic()",
        "$x^2$",
        "<label> @ref",
        "*粗* _斜_ `码`",
        "\\u{1F600}",
        '"]) #read("x',
        "// 注释 /* */",
        "= 标题",
        "~~ --- ...",
    ],
)
def test_a_name_is_never_code(samples: "Samples", name: str) -> None:
    content = samples.content(
        beneficiary=name, text=name, programme_name=name, project_name=name, verifier=name, jurisdiction=name
    )
    assert text_of(render(content)).count("".join(name.split())) >= 5


def test_long_names_wrap_and_stay_on_the_page(samples: "Samples") -> None:
    long = {"latin": "W" * 300, "chinese": "衢" * 300, "words": "Very long name of a company " * 12}
    for name in long.values():
        pdf = render(samples.content(beneficiary=name, project_name=name, verifier=name, programme_name=name))
        reader = PdfReader(io.BytesIO(pdf))
        right = 0.0

        def widest(text: str, _: object, matrix: list[float], *__: object) -> None:
            nonlocal right
            if text.strip():
                right = max(right, matrix[4])

        for page in reader.pages:
            page.extract_text(visitor_text=widest)
            assert right < float(page.mediabox.width)
        assert "".join(name.split()) in text_of(pdf)


def test_a_character_without_a_glyph_is_refused_by_name(samples: "Samples") -> None:
    with pytest.raises(GlyphMissing) as refused:
        render(samples.content(beneficiary="吉野𠮷家"))
    assert refused.value.facts == {
        "character": "𠮷",
        "codepoint": "U+20BB7",
        "field": "beneficiary",
        "setting": "font_dirs",
    }
    assert "𠮷" in str(refused.value)
    assert "font_dirs" in str(refused.value)


def test_control_characters_have_no_glyph() -> None:
    with pytest.raises(GlyphMissing, match=r"U\+0007"):
        require_glyphs("bell\u0007", "name")
    assert missing_characters("行一\n行二") == ""


def test_what_we_call_showable_is_what_typst_can_show(samples: "Samples") -> None:
    for character in "㙟罒é–·①Ωж":
        assert (missing_characters(character) == "") == (
            chr(ord(character)) in text_of(render(samples.content(text=character)))
        )
    assert missing_characters("𠮷₂") == "𠮷₂"


def test_a_folder_of_the_setting_adds_its_characters(tmp_path: Path) -> None:
    noto = next(fonts.FOLDER.glob("*400Regular.ttf"))
    (tmp_path / "more.ttf").write_bytes(noto.read_bytes())
    more = font_set((tmp_path,))
    assert more.families == ("Noto Sans SC",)
    assert more.characters == font_set().characters
    assert more.digest != font_set().digest
    assert renderer((tmp_path,)) != renderer()


def test_without_its_fonts_no_certificate_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fonts, "FOLDER", tmp_path)
    fonts._font_set.cache_clear()
    try:
        with pytest.raises(FontsMissing):
            font_set()
    finally:
        fonts._font_set.cache_clear()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"units": 64}, "units"),
        ({"total_kg": 1}, "total_kg"),
        ({"claim_to": date(2025, 1, 1)}, "claim_to"),
        ({"verify_url": "javascript:alert(1)"}, "verify_url"),
        ({"root_hash": "ab"}, "root_hash"),
        ({"parcels": ()}, "parcels"),
        ({"serials": (SerialLine("x", 1),)}, "units"),
        ({"retired_at": datetime(2026, 1, 1)}, "retired_at"),  # noqa: DTZ001 - no zone is the point
    ],
)
def test_a_certificate_that_does_not_add_up_is_refused(
    samples: "Samples", changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(CertificateContentInvalid) as refused:
        render_pdf(samples.content(**changed), {}, datetime(2026, 1, 1, tzinfo=UTC))
    assert refused.value.facts["field"] == field
