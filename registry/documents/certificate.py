"""The retirement certificate as a PDF/A-3b that carries its own proof.

A pure function from values to bytes: the same content, attachments, time, fonts and renderer give the same
file to the byte, so that a verifier can print it again and compare. Every text reaches the template as data
(`sys.inputs`, JSON); nothing of it is ever source code, so a village may be called `#panic()`.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import segno
import typst

from registry.documents.errors import CertificateContentInvalid
from registry.documents.fonts import FontSet, font_set, require_glyphs
from registry.documents.mapping import ParcelOutline, parcel_map_svg

TEMPLATE: Final = Path(__file__).parent / "certificate.typ"
LOCAL: Final = ZoneInfo("Asia/Shanghai")
PRINTING: Final = (
    "certificate.typ",
    "certificate.py",
    "fonts.py",
    "mapping.py",
    "serials.py",
    "statement.py",
    "bundle.py",
)
"""The files of this room that decide what a certificate looks like."""
MAP_PIXELS: Final = (696, 380)
MU_M2: Final = 10_000 / 15
MEDIA_TYPES: Final = {".json": "application/json", ".entry": "application/json", ".tlog-proof": "text/plain"}

PURPOSES: Final = {
    "voluntary": "自愿抵消 · voluntary offset",
    "compliance": "履约抵消 · compliance",
    "event": "大型活动碳中和 · carbon-neutral event",
    "product": "产品碳中和 · carbon-neutral product",
    "judicial": "司法替代性修复 · judicial restoration",
    "other": "其他 · other",
}
"""What known purpose codes read as in print; another text is printed as it stands."""


@dataclass(frozen=True, slots=True)
class SerialLine:
    """One retired range: its serial number and how many units it counts."""

    serial: str
    units: int


@dataclass(frozen=True, slots=True)
class CertificateParcel:
    """A home parcel of retired units; `area_m2` whole square metres (ellipsoid)."""

    code: str
    village: str
    county: str
    area_m2: int
    units: int


@dataclass(frozen=True, slots=True)
class CertificateContent:
    """All that the certificate says. Instants are aware; the claim period is half-open `[claim_from,
    claim_to)`.
    """

    number: str
    version: int
    beneficiary: str
    beneficiary_code: str
    """统一社会信用代码, or empty for a person."""
    purpose: str
    text: str
    claim_from: date
    claim_to: date
    jurisdiction: str
    retired_at: datetime
    serials: tuple[SerialLine, ...]
    programme: str
    programme_name: str
    project: str
    project_name: str
    vintages: tuple[int, ...]
    units: int
    unit_kg: int
    total_kg: int
    parcels: tuple[CertificateParcel, ...]
    outlines: tuple[ParcelOutline, ...]
    verifier: str
    statement_entries: tuple[int, ...]
    issuance_entries: tuple[int, ...]
    retirement_entry: int
    log_origin: str
    log_size: int
    root_hash: str
    log_vkey: str
    verify_url: str
    simulated: bool


def render_pdf(
    content: CertificateContent,
    attachments: Mapping[str, bytes],
    timestamp: datetime,
    font_dirs: Sequence[Path] = (),
) -> bytes:
    """The certificate as PDF/A-3b with `attachments` (file name → bytes) inside.

    `timestamp` is the time written into the file's metadata: take it from the log entry. Raises
    `CertificateContentInvalid`, `GlyphMissing`, `FontsMissing`.
    """
    _check(content, timestamp)
    fonts = font_set(font_dirs)
    texts = _texts(content)
    _require_glyphs(texts, font_dirs)
    inputs = {
        "content": json.dumps(texts | {"families": list(fonts.families)}, ensure_ascii=False, sort_keys=True),
        "map": _map(content),
        "qr": _qr(content.verify_url),
        "attachments": json.dumps(
            [
                {
                    "name": name,
                    "type": MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
                    "data": [*data],
                }
                for name, data in sorted(attachments.items())
            ]
        ),
        "renderer": renderer(font_dirs),
    }
    return _compile(fonts, inputs, timestamp)


def renderer(font_dirs: Sequence[Path] = ()) -> str:
    """What decides the bytes beside the content: the versions of Typst and segno, this code, its template and
    fonts.

    Two installations with the same answer print the same file.
    """
    fonts = font_set(font_dirs).digest[:16]
    return f"typst/{version('typst')} segno/{version('segno')} sources/{_sources()} fonts/{fonts}"


@lru_cache(maxsize=1)
def _sources() -> str:
    digest = hashlib.sha256()
    for name in PRINTING:
        digest.update(hashlib.sha256((TEMPLATE.parent / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def _compile(fonts: FontSet, inputs: dict[str, str], timestamp: datetime) -> bytes:
    pdf: bytes = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        font_paths=fonts.loaded,
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs=inputs,
        pdf_standards=["a-3b"],
        timestamp=timestamp.astimezone(UTC).replace(microsecond=0),
    )
    return pdf


def _check(content: CertificateContent, timestamp: datetime) -> None:
    """What no template should have to think about."""
    if timestamp.tzinfo is None or content.retired_at.tzinfo is None:
        raise CertificateContentInvalid(field="retired_at", reason="has no time zone")
    if not content.claim_from < content.claim_to:
        raise CertificateContentInvalid(field="claim_to", reason="is not after claim_from")
    if not content.verify_url.startswith(("https://", "http://")):
        raise CertificateContentInvalid(field="verify_url", reason="is not an http address")
    if not content.serials or content.units != sum(line.units for line in content.serials):
        raise CertificateContentInvalid(field="units", reason="is not the sum of the serial numbers")
    if content.units != sum(parcel.units for parcel in content.parcels):
        raise CertificateContentInvalid(field="parcels", reason="do not add up to the units")
    if content.total_kg != content.units * content.unit_kg:
        raise CertificateContentInvalid(field="total_kg", reason="is not units times unit_kg")
    if len(content.root_hash) != 64:
        raise CertificateContentInvalid(field="root_hash", reason="is not 64 hexadecimal digits")


def _texts(content: CertificateContent) -> dict[str, object]:
    """Every word and number as the reader sees it; the template only places them."""
    retired = content.retired_at.astimezone(LOCAL)
    last_day = content.claim_to - timedelta(days=1)
    return {
        "number": content.number,
        "version": str(content.version),
        "beneficiary": content.beneficiary,
        "beneficiary_code": content.beneficiary_code,
        "purpose": PURPOSES.get(content.purpose, content.purpose),
        "text": content.text,
        "claim": f"{content.claim_from.isoformat()} – {last_day.isoformat()}",
        "jurisdiction": content.jurisdiction,
        "retired_zh": f"{retired.year} 年 {retired.month} 月 {retired.day} 日 {retired:%H:%M:%S}",
        "retired_en": f"{retired:%Y-%m-%d %H:%M:%S}",
        "retired_utc": f"{content.retired_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "serials": [
            [line.serial, _grouped(line.units), _grouped(line.units * content.unit_kg)]
            for line in content.serials
        ],
        "programme": content.programme,
        "programme_name": content.programme_name,
        "project": content.project,
        "project_name": content.project_name,
        "vintages": ", ".join(str(year) for year in content.vintages),
        "units": _grouped(content.units),
        "unit_kg": _grouped(content.unit_kg),
        "total_kg": _grouped(content.total_kg),
        "parcels": [
            [
                str(row),
                parcel.code,
                parcel.village,
                parcel.county,
                f"{parcel.area_m2 / MU_M2:,.2f}",
                f"{parcel.area_m2 / 10_000:,.4f}",
                _grouped(parcel.units),
            ]
            for row, parcel in enumerate(content.parcels, start=1)
        ],
        "parcel_area_mu": f"{sum(parcel.area_m2 for parcel in content.parcels) / MU_M2:,.2f}",
        "parcel_area_ha": f"{sum(parcel.area_m2 for parcel in content.parcels) / 10_000:,.4f}",
        "verifier": content.verifier,
        "statement_entries": ", ".join(str(index) for index in content.statement_entries),
        "issuance_entries": ", ".join(str(index) for index in content.issuance_entries),
        "retirement_entry": str(content.retirement_entry),
        "log_origin": content.log_origin,
        "log_size": str(content.log_size),
        "root_hash": content.root_hash,
        "log_vkey": content.log_vkey,
        "verify_url": content.verify_url,
        "simulated": content.simulated,
    }


def _require_glyphs(value: object, font_dirs: Sequence[Path], field: str = "") -> None:
    if isinstance(value, str):
        require_glyphs(value, field, font_dirs)
    elif isinstance(value, dict):
        for name, part in value.items():
            _require_glyphs(part, font_dirs, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list):
        for number, part in enumerate(value, start=1):
            _require_glyphs(part, font_dirs, f"{field}[{number}]")


def _map(content: CertificateContent) -> str:
    """The outlines, each labelled with its row in the table of parcels."""
    rows = {parcel.code: str(row) for row, parcel in enumerate(content.parcels, start=1)}
    outlines = [ParcelOutline(one.code, one.rings, rows.get(one.code, "")) for one in content.outlines]
    return parcel_map_svg(outlines, rows.keys(), *MAP_PIXELS)


def _qr(url: str) -> str:
    """A QR code, error correction M (a seventh of it may be dirty), as SVG."""
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(
        out, kind="svg", border=0, xmldecl=False, dark="#24332c", light=None
    )
    return out.getvalue().decode("utf-8")


def _grouped(number: int) -> str:
    return f"{number:,}"
