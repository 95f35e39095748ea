"""Every parcel file that other people made: read as it is, or refused for the right reason.

Where the outlines lie is compared with GDAL's reading in tests/geo/test_vector.py.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from geo.errors import EncodingUnknown, FormatUnsupported
from geo.vector import Attribute, check_rows, read_parcels


@dataclass(frozen=True)
class Known:
    """What is known of a file: format, system, encoding, and the value of a field in a row."""

    kind: str
    crs: str
    count: int
    row: int
    field: str
    value: Attribute
    encoding: tuple[str, str] = ("utf-8", "format")
    declared: str | None = None


FILES = {
    "parcels/1_vietnam_areas.gpkg": Known("gpkg", "EPSG:32648", 100, 1, "country", "vietnam"),
    "parcels/LandUse.ExistingLandUse.GSAAAgriculturalParcel.gpkg": Known(
        "gpkg", "EPSG:3067", 100, 1, "KASVIKOODI_SELITE_SV", "Naturvårdsvall"
    ),
    "parcels/antrag.zip": Known(
        "shapefile", "EPSG:25833", 100, 1, "egs_name", "Förderfähig, mit EGS-Beantragung",
        ("cp1252", "declared"), "cp1252",
    ),
    "parcels/brpgewaspercelen_definitief_2023.gpkg": Known(
        "gpkg", "EPSG:28992", 100, 1, "category", "Landschapselement"
    ),
    "parcels/geojson_example.geojson": Known("geojson", "OGC:CRS84", 50, 1, "user_id", 1),
    "parcels/india_10k.zip": Known("shapefile", "EPSG:4326", 100, 1, "sample", 0, ("utf-8", "guess")),
    "parcels/inspire_schlaege_2025-1_polygon.gpkg.zip": Known(
        "gpkg", "EPSG:31287", 100, 1, "SNAR_BEZEICHNUNG", "MÄHWIESE/-WEIDE DREI UND MEHR NUTZUNGEN"
    ),
    "parcels/iti1_2023.parquet": Known("parquet", "EPSG:3035", 100, 1, "original_code", "1095"),
    "stands/result_stands.geojson": Known("geojson", "EPSG:3301", 10, 1, "Korraldaja", "Metsabüroo OÜ"),
    "stands/result_layer10.geojson": Known("geojson", "EPSG:3301", 17, 1, "ttip", "84301:001:0610 - 5"),
}  # fmt: skip
REFUSED = {"parcels/LU_ExistingLandUse_SIGEC2022.gml.zip": "GML"}


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_is_read_with_its_text_and_every_outline_is_land(real_data: Path, name: str) -> None:
    known = FILES[name]
    found = read_parcels(real_data / name, encoding=known.declared)
    assert (found.kind, found.crs, len(found.rows)) == (known.kind, known.crs, known.count)
    assert (found.encoding, found.encoding_source) == known.encoding
    assert found.rows[known.row - 1].attributes[known.field] == known.value
    assert check_rows(found) == []
    assert found.hints == ()


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_of_another_format_is_refused_by_its_name(real_data: Path, name: str) -> None:
    with pytest.raises(FormatUnsupported) as refusal:
        read_parcels(real_data / name)
    assert refusal.value.facts["found"] == REFUSED[name]


def test_umlauts_in_an_encoding_that_nobody_names_are_not_guessed(real_data: Path) -> None:
    with pytest.raises(EncodingUnknown):
        read_parcels(real_data / "parcels" / "antrag.zip")


def test_no_real_file_is_left_out(real_data: Path) -> None:
    there = {
        f"{folder}/{file.name}" for folder in ("parcels", "stands") for file in (real_data / folder).iterdir()
    }
    assert there == FILES.keys() | REFUSED.keys()
