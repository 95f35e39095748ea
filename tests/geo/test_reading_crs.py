"""In which system a file is: what surveyors' programs write, and what can be told when nobody wrote it."""

import json
from pathlib import Path

import pytest
from shapely import Polygon, box

from geo.crs import area_m2, crs_text, from_store, parse_crs
from geo.errors import (
    CrsDatumUnknown,
    CrsMeridianUnknown,
    CrsUnknown,
    CrsZoneToConfirm,
    DatumShiftUnknown,
    GeoRefusal,
    PrjMissing,
)
from geo.vector import FeatureRow, land_rows, read_parcels, write_zipped_shapefile
from tests.geo.files import geopackage, read_here
from tests.geo.shapes import QUZHOU, degrees_box
from tests.geo.test_vector import repacked

PROJECTED = (
    'PROJCS["{name}",GEOGCS["{base}",DATUM["{datum}",SPHEROID["{ellipsoid}",6378137.0,298.257222101]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["{projection}"],'
    'PARAMETER["False_Easting",{easting}],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",120.0],'
    'PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)
BASES = (
    ("GCS_China_Geodetic_Coordinate_System_2000", "D_China_2000", "CGCS2000"),
    ("China Geodetic Coordinate System 2000", "China_2000", "CGCS2000"),
    ("GCS_CGCS_2000", "D_CGCS_2000", "CGCS_2000"),
    ("CGCS 2000", "D_CGCS_2000", "S_CGCS_2000"),
    ("GCS_CGCS2000", "D_CGCS2000", "CGCS2000"),
)


@pytest.mark.parametrize(("base", "datum", "ellipsoid"), BASES)
@pytest.mark.parametrize("projection", ["Gauss_Kruger", "Transverse_Mercator"])
@pytest.mark.parametrize(
    ("name", "easting", "code"),
    [
        ("CGCS2000_3_Degree_GK_Zone_40", "40500000.0", "EPSG:4528"),
        ("CGCS2000_3_Degree_GK_CM_120E", "500000.0", "EPSG:4549"),
        ("国家2000坐标系 120E", "500000.0", "EPSG:4549"),
    ],
)
def test_a_prj_as_chinese_programs_write_it_names_its_zone(
    base: str, datum: str, ellipsoid: str, projection: str, name: str, easting: str, code: str
) -> None:
    prj = PROJECTED.format(
        name=name, base=base, datum=datum, ellipsoid=ellipsoid, projection=projection, easting=easting
    )
    assert crs_text(parse_crs(prj)) == code


@pytest.mark.parametrize(("base", "datum", "ellipsoid"), BASES)
def test_a_prj_in_degrees_is_the_frame_of_the_record(base: str, datum: str, ellipsoid: str) -> None:
    prj = (
        f'GEOGCS["{base}",DATUM["{datum}",SPHEROID["{ellipsoid}",6378137.0,298.257222101]],'
        'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
    )
    assert crs_text(parse_crs(prj)) == "EPSG:4490"


PARCEL = degrees_box(*QUZHOU, 300, 300)


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    rows = [FeatureRow(1, from_store(PARCEL, "EPSG:4528"), {"村": "上方"})]
    write_zipped_shapefile(tmp_path / "zone.zip", rows, "EPSG:4528")
    return tmp_path / "zone.zip"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "gbk"])
def test_land_comes_to_its_place_through_such_a_prj(tmp_path: Path, shapefile: Path, encoding: str) -> None:
    name = "CGCS2000_3_Degree_GK_Zone_40" if encoding == "ascii" else "国家2000_40带"
    prj = PROJECTED.format(
        name=name, base=BASES[2][0], datum=BASES[2][1], ellipsoid=BASES[2][2], projection="Gauss_Kruger",
        easting="40500000.0",
    )  # fmt: skip
    file = repacked(shapefile, tmp_path / "chinese.zip", {".prj": prj.encode(encoding)})
    (row,) = land_rows(read_parcels(file))
    assert row.geometry.symmetric_difference(PARCEL).area < 1e-12
    assert area_m2(row.geometry) == pytest.approx(90_000, rel=2e-3)


def test_old_datums_and_local_grids_are_refused(tmp_path: Path, shapefile: Path) -> None:
    xian = (
        'PROJCS["Xian_1980_3_Degree_GK_Zone_40",GEOGCS["GCS_Xian_1980",DATUM["D_Xian_1980",'
        'SPHEROID["Xian_1980",6378140.0,298.257]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
        'PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",40500000.0],PARAMETER["False_Northing",0.0],'
        'PARAMETER["Central_Meridian",120.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],'
        'UNIT["Meter",1.0]]'
    )
    for prj, refusal in (
        (xian, DatumShiftUnknown),
        ('LOCAL_CS["城市坐标系",UNIT["Meter",1.0]]', CrsUnknown),
        ("not a system", CrsUnknown),
    ):
        file = repacked(shapefile, tmp_path / "x.zip", {".prj": prj.encode()})
        with pytest.raises(refusal):
            read_parcels(file)
        if refusal is CrsUnknown:  # the way out: somebody knows what it is
            assert read_parcels(file, crs=4528).crs == "EPSG:4528"
        else:
            with pytest.raises(refusal):
                read_parcels(file, crs=4528)


# --- nobody wrote it ----------------------------------------------------------------------------------------


def refused(tmp_path: Path, outline: Polygon, *, swapped: bool = False) -> GeoRefusal:
    xy = [(y, x) if swapped else (x, y) for x, y in outline.exterior.coords]
    text = f'n,WKT\n1,"{Polygon(xy).wkt}"\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(PrjMissing) as refusal:
        read_here(tmp_path / "a.csv")
    assert refusal.value.facts["member"] == "SRID"
    return refusal.value


@pytest.mark.parametrize("swapped", [False, True])
def test_an_easting_with_a_zone_number_names_its_zone(tmp_path: Path, swapped: bool) -> None:
    easting = from_store(PARCEL, "EPSG:4528")
    assert isinstance(easting, Polygon)
    refusal = refused(tmp_path, easting, swapped=swapped)
    assert isinstance(refusal, CrsZoneToConfirm)
    assert refusal.facts["suggestions"] == ["EPSG:4528"]
    assert 40_000_000 < int(str(refusal.facts["x"])) < 41_000_000


@pytest.mark.parametrize(("easting", "code"), [(25_500_000, 4513), (45_400_000, 4533), (16_500_000, 4494)])
def test_each_zone_has_its_system(tmp_path: Path, easting: int, code: int) -> None:
    refusal = refused(tmp_path, box(easting, 3_200_000, easting + 100, 3_200_100))
    assert refusal.facts["suggestions"] == [f"EPSG:{code}"]
    assert parse_crs(code).to_wkt().count(f"{easting // 1_000_000}500000") == 1


def test_an_easting_without_a_zone_number_needs_the_meridian(tmp_path: Path) -> None:
    easting = from_store(PARCEL, "EPSG:4549")
    assert isinstance(easting, Polygon)
    refusal = refused(tmp_path, easting)
    assert isinstance(refusal, CrsMeridianUnknown)
    suggestions = refusal.facts["suggestions"]
    assert isinstance(suggestions, list)
    assert [code for code in ("EPSG:4548", "EPSG:4549", "EPSG:4528") if code in suggestions] == [
        "EPSG:4548",
        "EPSG:4549",
    ]


def test_degrees_need_their_datum_and_anything_else_a_declaration(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path, PARCEL), CrsDatumUnknown)
    assert isinstance(refused(tmp_path, PARCEL, swapped=True), CrsDatumUnknown)
    for other, suggestions in (
        (box(13_220_000, 3_360_000, 13_220_100, 3_360_100), ["EPSG:3857", "EPSG:4491"]),
        (box(12_020_000, 3_360_000, 12_020_100, 3_360_100), ["EPSG:3857"]),
        (box(50_000, 3e6, 50_100, 3.1e6), []),
    ):
        refusal = refused(tmp_path, other)
        assert (type(refusal), refusal.facts["suggestions"]) == (PrjMissing, suggestions)
    assert type(refused(tmp_path, box(24_950_000, 3e6, 25_100_000, 3.1e6))) is PrjMissing  # two zones at once


def test_a_file_without_outlines_says_nothing_of_its_system(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,WKT\n1,\n")
    with pytest.raises(PrjMissing) as refusal:
        read_here(tmp_path / "a.csv")
    assert refusal.value.facts["suggestions"] == []


def test_a_geopackage_without_a_system_and_a_shapefile_without_prj_are_asked_alike(
    tmp_path: Path, shapefile: Path
) -> None:
    for file, member in (
        (repacked(shapefile, tmp_path / "bare.zip", {".prj": None}), ".prj"),
        (undefined_geopackage(tmp_path / "bare.gpkg"), "gpkg_spatial_ref_sys"),
    ):
        with pytest.raises(CrsZoneToConfirm) as refusal:
            read_parcels(file)
        assert refusal.value.facts["member"] == member
        assert len(land_rows(read_parcels(file, crs="EPSG:4528"))) == 1


def undefined_geopackage(path: Path) -> Path:
    outline = from_store(PARCEL, "EPSG:4528").wkb.hex()
    blob = "4750000100000000" + outline
    sql = f"""CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB);
        INSERT INTO land VALUES (1, x'{blob}');
        UPDATE gpkg_geometry_columns SET srs_id = -1"""
    return geopackage(path, sql)


def test_geojson_says_its_system_by_being_geojson(tmp_path: Path) -> None:
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": json.loads('{"type": "Polygon", "coordinates": []}'),
    }
    (tmp_path / "a.json").write_text(json.dumps(feature))
    assert read_here(tmp_path / "a.json").crs == "OGC:CRS84"
