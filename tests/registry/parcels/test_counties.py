"""Outlines of counties, and what they and registered neighbours say of a file's coordinates."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from shapely import Polygon, box, get_coordinates, hausdorff_distance
from typer.testing import CliRunner

from geo.crs import LocalFrame, Polygonal
from geo.datum import Datum, from_wgs84
from geo.errors import DatumSuspected
from geo.polygon import canonical, cells, from_wkb, to_wkb
from geo.vector import write_geojson
from registry.cli import app
from registry.parcels.counties import (
    Batch,
    CountiesRefused,
    check_datum,
    gather_evidence,
    outside_county,
    read_counties,
    save_counties,
)
from registry.parcels.models import CountyOutline, Parcel, ParcelDraft
from tests.registry.land import Land, ground, row

NOW = datetime(2025, 3, 3, tzinfo=UTC)
QUZHOU = Polygon([(118.6, 28.8), (119.0, 28.8), (119.0, 29.2), (118.6, 29.2)])


def rough(x_m: float, y_m: float, seed: int) -> Polygonal:
    """A quarter of a hectare with four corners of its own, some metres from a place in Quzhou."""
    rng = np.random.default_rng(seed)
    east, north = LocalFrame(118.80, 29.00).metres_per_degree()
    corners = np.array([(0, 0), (60, 0), (60, 50), (0, 50)]) + rng.uniform(-6, 6, (4, 2))
    return canonical(Polygon([(118.80 + (x_m + x) / east, 29.00 + (y_m + y) / north) for x, y in corners]))


def batch(outlines: Sequence[Polygonal], county: str | None = "330802") -> Batch:
    return Batch(
        wkb=[to_wkb(canonical(one)) for one in outlines],
        cells=[cells(one) for one in outlines],
        county_of=[county] * len(outlines),
    )


def known_county(land: Land, code: str = "330802", outline: Polygonal = QUZHOU) -> None:
    now = land.people.installation.clock.now()
    with land.people.installation.database.write() as session:
        save_counties(
            session,
            [CountyOutline(code=code, name="柯城区", wkb=to_wkb(outline), source="test", updated_at=now)],
        )


def asked(land: Land, rows: Batch, **said: Any) -> DatumSuspected | None:
    options: dict[str, Any] = {"crs": "EPSG:4326", "datum": Datum.AS_STATED, "hints": ()} | said
    with land.people.installation.database.read() as session:
        return check_datum(session, rows, **options)


@pytest.fixture
def neighbours(land: Land) -> list[Polygonal]:
    """Four registered fields a few hundred metres apart."""
    made = [rough(500, 500, 1), rough(800, 500, 2), rough(500, 800, 3), rough(800, 800, 4)]
    for draft in land.drafts(land.village, *made):
        land.submit(land.village, draft)
    return made


def test_fields_that_come_back_in_a_web_maps_degrees_are_suspected(
    land: Land, neighbours: list[Polygonal]
) -> None:
    """The village sends its registered fields again, this time as a map shows them."""
    for datum, moves_m in ((Datum.GCJ02, 580), (Datum.BD09, 1_175)):
        refusal = asked(land, batch([from_wgs84(one, datum) for one in neighbours]))
        assert refusal is not None
        assert refusal.code == "datum_suspected"
        assert (refusal.facts["hypothesis"], refusal.facts["twins"]) == (datum.value, 4)
        assert refusal.facts["shift_m"] == pytest.approx(moves_m, rel=0.05)
        assert str(refusal.facts["shift_m"]) in str(refusal)
    assert asked(land, batch(neighbours)) is None

    moved = batch([from_wgs84(one, Datum.GCJ02) for one in neighbours])
    assert asked(land, moved, crs="EPSG:3857") is not None  # degrees came of a web map's metres
    assert asked(land, moved, crs="EPSG:4549") is None  # a survey's metres
    for said in (Datum.WGS84, Datum.CGCS2000, Datum.GCJ02, Datum.BD09):
        assert asked(land, moved, datum=said) is None  # who says what it is, is not asked again
    with land.people.installation.database.read() as session:
        own = list(session.scalars(sa.select(Parcel.id)))
    assert asked(land, moved, except_parcels=own) is None


def test_an_isolated_file_is_let_in_unless_it_names_a_maps_datum(land: Land) -> None:
    rows = batch([rough(0, 0, 9)])
    assert asked(land, rows) is None
    assert asked(land, rows, hints=("amap",)) is None
    assert asked(land, rows, hints=("坐标系 GCJ02",)) is not None
    assert asked(land, batch([])) is None
    abroad = batch([canonical(box(5.0, 52.0, 5.001, 52.001))])
    assert asked(land, abroad, hints=("gcj02",)) is None


def test_only_what_is_near_is_gathered_and_of_many_rows_a_spread(
    land: Land, neighbours: list[Polygonal]
) -> None:
    (far,) = land.drafts(land.village, ground(30_000, 30_000))
    land.submit(land.village, far)
    known_county(land)
    beside = batch([rough(1_500, 500, 6)])
    many = Batch([*beside.wkb] * 3_000, [*beside.cells] * 3_000, ["330802"] * 3_000)
    with land.people.installation.database.read() as session:
        around = gather_evidence(session, beside)
        nothing = gather_evidence(session, batch([ground(15_000, 15_000)], county=None))
        spread = gather_evidence(session, many)
    assert (len(around.registered), list(around.counties)) == (4, ["330802"])
    assert (nothing.registered, nothing.counties, len(nothing.shapes)) == ([], {}, 1)
    assert (len(spread.registered), len(spread.shapes)) == (4, 200)


# ---- counties ----------------------------------------------------------------------------------------------


def test_land_outside_the_county_it_gives_is_named_with_its_distance(land: Land) -> None:
    known_county(land)
    inside, across, outside = ground(0, 0), canonical(box(118.999, 29.0, 119.001, 29.001)), ground(25_000, 0)
    with land.people.installation.database.read() as session:
        found = outside_county(session, batch([inside, across, outside]))
        elsewhere = outside_county(session, batch([outside], county="330803"))
        unsaid = outside_county(session, batch([outside], county=None))
    assert [n for n, _ in found] == [2]
    refusal = found[0][1]
    assert refusal.facts == {"county": "330802", "name": "柯城区", "distance_m": pytest.approx(5_510, abs=60)}
    assert elsewhere == unsaid == []


def county_file(folder: Path, *rows: tuple[Any, Any]) -> Path:
    made = [
        (canonical(box(118 + n, 28, 118.5 + n, 29)), {"代码": code, "名称": name})
        for n, (code, name) in enumerate(rows)
    ]
    path = folder / "counties.geojson"
    path.write_text(write_geojson(made), encoding="utf-8")
    return path


def test_a_file_with_a_wrong_row_is_refused_with_every_such_row(tmp_path: Path) -> None:
    rows = [("330802", "柯城区"), ("330802", "又一个"), ("3308", "衢州"), ("330803", None)]
    path = county_file(tmp_path, *rows)
    with pytest.raises(CountiesRefused) as refused:
        read_counties(path, code_field="代码", name_field="名称", source="测绘", now=NOW)
    wrong = refused.value.facts["rows"]
    assert isinstance(wrong, list)
    assert [(one["row"], one["field"]) for one in wrong] == [(2, "代码"), (3, "代码"), (4, "名称")]
    with pytest.raises(CountiesRefused) as refused:
        read_counties(path, code_field="adcode", name_field="名称", source="测绘", now=NOW)
    assert refused.value.facts["rows"] == [{"row": 0, "field": "adcode", "code": "column_missing"}]


def test_the_counties_of_a_province_are_read(test_data: Path) -> None:
    path = test_data / "boundaries" / "zhejiang_counties_tianditu.geojson"
    read = read_counties(
        path, code_field="district_adcode", name_field="district_name", source="Tianditu", now=NOW
    )
    assert len(read) == 90
    assert {county.code: county.name for county in read}["330881"] == "江山市"


def test_the_command_loads_outlines_and_replaces_those_it_knows(land: Land, tmp_path: Path) -> None:
    home = land.people.installation.home
    command = CliRunner()
    environment = {"TANHUI_HOME": str(home.path), "TANHUI_DATABASE_URL": home.database_url}

    def run(*arguments: str) -> Any:
        done = command.invoke(app, ["land", "counties", *arguments, "--json"], env=environment)
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout)

    options = ("--code-field", "代码", "--name-field", "名称")
    first = county_file(tmp_path, ("330802", "柯城"), (330803, "衢江区"))
    assert run(str(first), *options) == {"new": 2, "replaced": 0}
    second = county_file(tmp_path, ("330802", "柯城区"), ("330881", "江山市"))
    assert run(str(second), *options, "--source", "省测绘院 2024") == {"new": 1, "replaced": 1}
    with pytest.raises(CountiesRefused):
        run(str(county_file(tmp_path, ("33", "江山市"))), *options)
    known = {county["code"]: (county["name"], county["source"]) for county in run()["counties"]}
    assert known == {
        "330802": ("柯城区", "省测绘院 2024"),
        "330803": ("衢江区", "counties.geojson"),
        "330881": ("江山市", "省测绘院 2024"),
    }


# ---- the whole way -----------------------------------------------------------------------------------------


def test_a_file_from_a_web_map_comes_in_once_its_datum_is_declared(
    land: Land, neighbours: list[Polygonal]
) -> None:
    """Beside four registered fields lies a fifth; the village traced it, with two it knew, from a web map."""
    known_county(land)
    truth = [*neighbours[:2], rough(1_200, 1_200, 5)]
    moved = [from_wgs84(one, Datum.GCJ02) for one in truth]
    path = land.file([row(n, one) for n, one in enumerate(moved, start=1)])

    report = land.bring(land.village.first, path)
    assert [(one.row, one.field, one.code) for one in report.problems] == [(0, "datum", "datum_suspected")]
    assert report.drafts == []
    said = report.problems[0].to_json()
    assert "gcj02" in said["zh"]
    assert "gcj02" in said["advice_zh"]

    converted = land.bring(land.village.first, path, datum=Datum.GCJ02).require()
    assert (converted.datum, len(converted.drafts)) == ("gcj02", 3)
    with land.people.installation.database.read() as session:
        drafts = [session.get_one(ParcelDraft, draft) for draft in converted.drafts]
        written = json.loads(path.read_text(encoding="utf-8"))["features"]
        for draft, real, feature in zip(drafts, truth, written, strict=True):
            assert hausdorff_distance(from_wkb(draft.wkb), real) < 2e-8  # 2 mm
            assert draft.source_wkb is not None
            kept = get_coordinates(from_wkb(draft.source_wkb)).tolist()
            assert kept == feature["geometry"]["coordinates"][0]  # what was uploaded stays as it came
            assert draft.attributes["source"]["datum"] == "gcj02"


def test_who_insists_on_the_datum_is_let_in_and_warned_where_it_leads(
    land: Land, neighbours: list[Polygonal]
) -> None:
    known_county(land, outline=canonical(box(118.0, 28.8, 118.8105, 29.2)))
    path = land.file([row(n, from_wgs84(one, Datum.GCJ02)) for n, one in enumerate(neighbours, start=1)])
    report = land.bring(land.village.first, path, datum=Datum.WGS84).require()
    assert (report.datum, len(report.drafts)) == ("wgs84", 4)
    assert {one.code for one in report.warnings if one.field == "county"} == {"outside_county"}
