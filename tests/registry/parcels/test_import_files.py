"""What is kept of an import, what an uploader can declare, and real files all the way through."""

import csv
import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from shapely import Polygon

from geo.errors import FormatUnsupported, GeoRefusal, ReaderStopped
from geo.vector import read_parcels
from registry.database import Database
from registry.files import FileStore
from registry.language import Language, translate
from registry.machine import Role
from registry.parcels.examining import Declaration, Upload, examine_upload
from registry.parcels.headings import propose_columns
from registry.parcels.import_jobs import AT_ONCE, RETRY_AFTER_S, STANDING, ImportJobs, ImportsBusy
from registry.parcels.import_models import ParcelImport, ParcelSource
from registry.parcels.imports import judge, take_in
from registry.parcels.mapping import FieldMap, load_mapping
from registry.parcels.models import Parcel, ParcelCell, ParcelDraft, ParcelVersion
from registry.parcels.public import ParcelPublic, set_masked
from registry.parcels.report import ADVICE, ImportReport, reasons
from registry.programmes.service import programme_file
from registry.records.rules import EntryToName
from registry.records.service import EraseRecord
from registry.transparency.audit import audit
from registry.vacuum import vacuum
from registry.web.land_page import outline_map
from tests.registry.land import ORIGIN, Land, ground, row

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BOW_TIE_M = [(0, 0), (100, 100), (100, 0), (0, 100)]


def store(land: Land) -> FileStore:
    return FileStore(land.people.installation.home.files)


def kept_files(land: Land) -> list[Path]:
    folder = land.people.installation.home.files
    return sorted(path for path in folder.rglob("*") if path.is_file())


def count(land: Land, table: type[Any]) -> int:
    with land.people.installation.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def load(land: Land, table: type[Any], key: Any) -> Any:
    """A row, to be looked at after its transaction."""
    with land.people.installation.database.read() as session:
        found = session.get_one(table, key)
        session.expunge(found)
    return found


def codes(report: ImportReport) -> list[tuple[int, str]]:
    return [(problem.row, problem.code) for problem in report.problems]


def bow_tie() -> Polygon:
    """Two triangles that meet in a point, drawn in one stroke."""
    east, north = ORIGIN.metres_per_degree()
    return Polygon([(ORIGIN.lon_deg + x / east, ORIGIN.lat_deg + y / north) for x, y in BOW_TIE_M])


def drawn(land: Land, outline: Polygon, **changed: Any) -> Path:
    """A file with one outline that nobody checked."""
    path = land.file([row(1, ground(0, 0), **changed)])
    text = path.read_text(encoding="utf-8")
    coordinates = [[list(point) for point in outline.exterior.coords]]
    start, _, rest = text.partition('"coordinates": ')
    _, _, after = rest.partition("]]]")
    path.write_text(f'{start}"coordinates": {coordinates}{after}', encoding="utf-8")
    return path


# ---- the report --------------------------------------------------------------------------------------------


OF_MEASURING = ("raster_", "coverage_", "cluster_", "worker_")


def test_there_is_advice_for_every_reason_in_both_languages() -> None:
    own = {kind.code for kind in reasons() if not kind.code.startswith(OF_MEASURING)}
    beyond = {"geo_refused", "row_refused", "value_refused", "rows_refused", "attribute_not_writable"}
    assert own - beyond - set(ADVICE) == set()
    assert [text for text in ADVICE.values() if translate(text, Language.CHINESE) == text] == []


@sqlite_only
def test_a_row_is_told_with_its_file_its_field_and_what_to_do(land: Land) -> None:
    path = land.file([row(1, ground(0, 0), 期限至="=1+1", 优势树种="银杏")])
    report = land.bring(land.village.first, path)
    told = report.to_json()["problems"]
    assert {one["file"] for one in told} == {path.name}
    assert {one["field"]: one["value"] for one in told} == {"期限至": "=1+1", "优势树种": "银杏"}
    assert all(one["advice_zh"] and one["advice_en"] and one["zh"] != one["en"] for one in told)

    table = report.to_csv()
    assert table.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    assert {line["行 row"] for line in lines} == {"1"}
    assert "'=1+1" in {line["值 value"] for line in lines}  # no table takes it for a formula
    assert all(line["怎么办"] and line["what to do"] for line in lines)


def test_no_cell_of_the_table_is_a_formula_in_full_width_either() -> None:
    refusal = FormatUnsupported(found="x")
    report = ImportReport.of_refused_file("＝cmd.zip", "0" * 64, refusal, dry_run=True)
    (line,) = csv.DictReader(io.StringIO(report.to_csv().decode("utf-8-sig")))
    assert line["文件 file"] == "'＝cmd.zip"


def test_a_file_that_cannot_be_read_has_a_report_of_the_same_form() -> None:
    report = ImportReport.of_refused_file("x.zip", "0" * 64, FormatUnsupported(found="GML"), dry_run=True)
    (line,) = report.to_json()["problems"]
    assert (line["row"], line["code"], line["file"]) == (0, "format_unsupported", "x.zip")
    assert "GeoPackage" in line["advice_zh"]


@sqlite_only
def test_what_overlaps_is_drawn_where_it_is_asked_for(land: Land) -> None:
    report = land.bring(land.village.first, land.file([row(1, ground(0, 0)), row(2, ground(50, 0))]))
    (plain,) = report.to_json()["problems"]
    (told,) = report.to_json(outlines=True)["problems"]
    assert "shared" not in plain
    assert told["shared"]["type"] == "Polygon"
    assert set(report.drawn) == {1, 2}


@sqlite_only
def test_a_draft_drawn_around_others_land_shows_no_more_of_it_than_everybody_may_see(
    land: Land, caplog: pytest.LogCaptureFixture
) -> None:
    village, stranger = land.village, land.pair(Role.COLLECTIVE, "乙村")
    open_one, hidden_one = (
        land.submit(village, draft) for draft in land.drafts(village, ground(0.123, 0.0), ground(300.0, 0.0))
    )
    with land.people.installation.database.write() as session:
        set_masked(session, village.first, hidden_one, True, land.people.installation.clock.now())
    around = row(1, ground(-50.0, -50.0, 600.0, 300.0))
    seen = {}
    for who in (village, stranger):
        with caplog.at_level("INFO", "tanhui.access"):
            report = land.bring(who.first, land.file([around]), dry_run=True)
        assert who.organisation in caplog.text
        told = report.to_json(outlines=True)["warnings"]
        seen[who] = {
            one["facts"]["parcel"]: one.get("shared") for one in told if one["code"] == "lies_on_parcel"
        }
    exact = {open_one: ground(0.123, 0.0), hidden_one: ground(300.0, 0.0)}
    for parcel, outline in exact.items():
        assert shapely.from_geojson(json.dumps(seen[village][parcel])).equals_exact(
            outline, 1e-9, normalize=True
        )
    assert set(seen[stranger]) == set(exact)
    assert seen[stranger][hidden_one] is None
    public = shapely.from_geojson(json.dumps(seen[stranger][open_one]))
    assert not public.equals_exact(exact[open_one], 1e-6, normalize=True)
    assert np.allclose(
        np.round(shapely.get_coordinates(public), 4), shapely.get_coordinates(public), atol=1e-12
    )


# ---- declarations ------------------------------------------------------------------------------------------


@sqlite_only
def test_values_for_the_whole_file_take_the_place_of_columns(land: Land) -> None:
    outline, attributes = row(1, ground(0, 0))
    for heading in ("县代码", "村", "期限至"):
        del attributes[heading]
    path = land.file([(outline, attributes)])
    values = {"county": "330802", "村": "甲村", "tenure_until": "2060年12月31日"}
    report = land.bring(land.village.first, path, values=values).require()
    draft = load(land, ParcelDraft, report.drafts[0])
    assert (draft.county, draft.village, draft.tenure["until"]) == ("330802", "甲村", "2060-12-31")


@sqlite_only
@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"wood": "x"}, "value_unused"),
        ({"village": "乙村"}, "value_beside_column"),
    ],
)
def test_a_value_that_has_no_place_is_refused(land: Land, values: dict[str, str], code: str) -> None:
    report = land.bring(land.village.first, land.file([row(1, ground(0, 0))]), values=values)
    assert codes(report) == [(0, code)]


@sqlite_only
def test_a_value_is_read_like_a_cell(land: Land) -> None:
    outline, attributes = row(1, ground(0, 0))
    del attributes["期限至"]
    report = land.bring(
        land.village.first, land.file([(outline, attributes)]), values={"tenure_until": "长期"}
    )
    assert codes(report) == [(0, "not_a_date")]


@sqlite_only
def test_a_dry_run_of_an_unknown_table_proposes_which_heading_is_which_field(land: Land) -> None:
    outline, attributes = row(1, ground(0, 0))
    renamed = {"小班号": attributes.pop("小班"), "LBH": attributes.pop("林班"), "其他": 1}
    report = land.bring(land.village.first, land.file([(outline, attributes | renamed)]), dry_run=True)
    assert codes(report) == [(0, "column_missing"), (0, "column_missing")]
    assert report.proposed == {"subcompartment": "小班号", "compartment": "LBH"}
    assert report.headings[-1] == "其他"
    assert "小班 (subcompartment)" in report.problems[-1].message(Language.CHINESE)
    assert "for subcompartment;" in report.problems[-1].message(Language.ENGLISH)
    assert report.columns["village"] == "村"


def test_headings_are_proposed_by_likeness_and_never_twice() -> None:
    mapping = load_mapping()
    headings = ["XIAO BAN", "优势树种（组）", "面积(公顷)", "objectid", "village_name"]
    assert propose_columns(mapping, headings, {}) == {
        "subcompartment": "XIAO BAN",
        "stand_type": "优势树种（组）",
        "declared_area": "面积(公顷)",
        "village": "village_name",
    }


@sqlite_only
def test_the_outline_proposed_for_an_invalid_one_is_taken_by_its_digest_and_recorded(land: Land) -> None:
    path = drawn(land, bow_tie())
    refused = land.bring(land.village.first, path)
    assert codes(refused) == [(1, "geometry_invalid")]
    proposal = refused.to_json(outlines=True)["problems"][0]["repair"]
    assert proposal["area_after_m2"] == pytest.approx(5_000, rel=1e-3)
    assert proposal["outline"]["type"] == "MultiPolygon"
    assert "<path" in (outline_map(refused) or ""), "what is proposed is drawn"

    other = land.bring(land.village.first, path, repairs={1: "0" * 64})
    assert codes(other) == [(1, "geometry_invalid"), (1, "repair_unknown")]
    taken = land.bring(land.village.first, path, repairs={1: proposal["sha256"]}).require()
    draft = load(land, ParcelDraft, taken.drafts[0])
    assert draft.attributes["source"]["repair_ppm"] == proposal["change_ppm"]
    assert draft.area_cm2 == pytest.approx(50_000_000, rel=1e-3)


# ---- what is kept ------------------------------------------------------------------------------------------


def test_the_file_is_kept_as_it_came_once_it_was_taken_in(land: Land) -> None:
    path = land.file([row(1, ground(0, 0))])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    land.bring(land.village.first, path, dry_run=True)
    bad = land.file([row(1, ground(0, 0)), row(2, ground(50, 0))])
    land.bring(land.village.first, bad)
    assert kept_files(land) == []
    assert (count(land, ParcelImport), count(land, ParcelDraft)) == (0, 0)

    report = land.bring(land.village.first, path)
    assert store(land).path(digest).read_bytes() == path.read_bytes()
    kept = load(land, ParcelImport, report.import_id)
    assert (kept.status, kept.sha256, kept.kept, kept.file_name) == ("taken", digest, True, path.name)
    assert kept.declared["programme"] == land.programme


@sqlite_only
def test_a_file_brought_again_is_answered_without_being_read(
    land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = land.file([row(1, ground(0, 0)), row(2, ground(99.7, 0))])
    first = land.bring(land.village.first, path)

    def nobody(*_: object, **__: object) -> None:
        raise AssertionError("the file was read again")

    monkeypatch.setattr("registry.parcels.examining.examine_file", nobody)
    again = land.bring(land.village.second, path, crs="EPSG:4490")
    assert again.repeated
    assert again.to_json() | {"repeated": False} == first.to_json()


def test_the_same_file_from_two_writers_leaves_one_import(land: Land) -> None:
    """Both have examined the file before either writes."""
    path = land.file([row(n, ground(200 * n, 0)) for n in range(1, 6)])
    installation, importer = land.people.installation, land.village.first
    now, upload, declared = installation.clock.now(), Upload.of(path), Declaration(land.programme)
    terms = programme_file().terms
    examined = examine_upload(path, upload, declared, terms, load_mapping(), now.date())
    with installation.database.read() as session:
        judged = judge(session, importer, examined, terms)
    begin, reports = threading.Barrier(4), []

    def write() -> None:
        database = Database(installation.home.database_url)
        begin.wait()
        with database.write() as session:
            reports.append(take_in(session, importer, examined, judged, now))
        database.dispose()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(report.repeated for report in reports) == [False, True, True, True]
    assert len({tuple(report.drafts) for report in reports}) == 1
    assert (count(land, ParcelDraft), count(land, ParcelImport)) == (5, 1)


@sqlite_only
def test_what_was_discarded_can_be_brought_again_beside_what_was_submitted(land: Land) -> None:
    from registry.parcels.imports import discard_import

    path = land.file([row(1, ground(0, 0)), row(2, ground(200, 0))])
    first = land.bring(land.village.first, path)
    land.submit(land.village, first.drafts[0])
    with land.people.installation.database.write() as session:
        assert discard_import(session, land.village.first, first.import_id) == 1
    again = land.bring(land.village.first, path)
    assert (again.drafts, again.repeated) == (first.drafts, False)
    assert count(land, ParcelDraft) == 2


def test_what_was_done_to_an_outline_is_committed_with_it(land: Land) -> None:
    path = land.file([row(1, ground(0, 0))])
    report = land.bring(land.village.first, path).require()
    parcel = land.submit(land.village, report.drafts[0])
    version, source = load(land, ParcelVersion, (parcel, 1)), load(land, ParcelSource, (parcel, 1))
    stated = (version.attributes or {})["source"]
    assert stated["geometry_sha256"] == hashlib.sha256(source.wkb).hexdigest()
    assert (stated["crs"], stated["datum"], stated["swapped"]) == (source.crs, "as_stated", False)
    assert audit(land.people.installation.home).findings == []


def test_when_a_parcel_is_erased_its_outline_is_nowhere_left(land: Land) -> None:
    outline = ground(12.34567, 76.54321, 123.4567, 98.76543)
    path = land.file([row(1, outline, 林权证号="绝无仅有的证号"), row(2, ground(500, 0))])
    report = land.bring(land.village.first, path).require()
    parcel = land.submit(land.village, report.drafts[0])
    index = load(land, Parcel, parcel).entry_index
    land.submit(land.village, report.drafts[1])
    installation = land.people.installation
    version = load(land, ParcelVersion, (parcel, 1))
    commitment, wkb = version.commitment, version.wkb
    drawn_wkb = load(land, ParcelSource, (parcel, 1)).wkb
    assert len(kept_files(land)) == 1

    with pytest.raises(EntryToName):
        land.people.do(land.registry.first, "record.erase", EraseRecord(commitment=commitment))
    erase = EraseRecord(commitment=commitment, index=index)
    land.people.together(land.registry.first, land.registry.second, "record.erase", erase)
    with installation.database.read() as session:
        assert session.get(ParcelSource, (parcel, 1)) is None
        assert session.get(ParcelDraft, report.drafts[0]) is None
        assert session.scalars(sa.select(ParcelCell).where(ParcelCell.parcel_id == parcel)).all() == []
        assert session.get(ParcelPublic, parcel) is None
        kept = session.get_one(ParcelImport, report.import_id)
        assert (kept.kept, kept.report) == (False, None)
        assert session.get(ParcelDraft, report.drafts[1]) is not None
    assert vacuum(installation.home) == [f"files/{hashlib.sha256(path.read_bytes()).hexdigest()}"]
    assert kept_files(land) == []
    assert audit(installation.home).findings == []
    if installation.database.engine.dialect.name == "sqlite":
        left = b"".join(file.read_bytes() for file in installation.home.path.glob("*.db*"))
        for secret in (wkb, drawn_wkb, wkb[9:57], "绝无仅有的证号".encode(), path.read_bytes()[:500]):
            assert secret not in left


# ---- behind the answer -------------------------------------------------------------------------------------


@pytest.fixture
def jobs(land: Land) -> Iterator[ImportJobs]:
    installation = land.people.installation
    made = ImportJobs(installation.database, store(land), installation.clock, waiting=2)
    yield made
    made.close()


def begin(jobs: ImportJobs, land: Land, path: Path, dry_run: bool = False) -> Any:
    from tempfile import TemporaryDirectory

    folder: TemporaryDirectory[str] = TemporaryDirectory()
    copy = Path(folder.name) / path.name
    copy.write_bytes(path.read_bytes())
    return jobs.begin(land.village.first, folder, copy, Declaration(land.programme), load_mapping(), dry_run)


@sqlite_only
def test_an_import_goes_on_behind_the_answer_and_tells_how_far_it_is(land: Land, jobs: ImportJobs) -> None:
    job = begin(jobs, land, land.file([row(1, ground(0, 0)), row(2, ground(200, 0))]))
    assert job.status in ("queued", "running")
    assert job.finished.wait(60)
    assert (job.status, job.report.taken, job.done) == ("taken", True, job.total)
    assert not job.path.exists()
    bad = begin(jobs, land, land.file([row(1, ground(0, 0)), row(2, ground(50, 0))]))
    assert bad.finished.wait(60)
    good_row, bad_row = load(land, ParcelImport, job.id), load(land, ParcelImport, bad.id)
    assert (good_row.status, good_row.kept) == ("taken", True)
    assert (bad_row.status, bad_row.kept) == ("refused", False)
    assert bad_row.report["problems"][0]["code"] == "rows_overlap"


@sqlite_only
def test_a_dry_run_behind_the_answer_leaves_no_row(land: Land, jobs: ImportJobs) -> None:
    job = begin(jobs, land, land.file([row(1, ground(0, 0))]), dry_run=True)
    assert job.finished.wait(60)
    assert (job.status, count(land, ParcelImport), kept_files(land)) == ("checked", 0, [])
    found = jobs.find(job.id)
    assert found is not None
    assert found.view()["report"]["dry_run"]


@sqlite_only
def test_a_full_queue_says_when_to_come_again(
    land: Land, jobs: ImportJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, may_end = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> ImportReport:
        going.set()
        may_end.wait(30)
        return ImportReport.of_refused_file("", "", FormatUnsupported(found="x"), dry_run=True)

    monkeypatch.setattr("registry.parcels.import_jobs.import_file", slow)
    paths = [land.file([row(n, ground(300 * n, 0))]) for n in range(1, 5)]
    first = begin(jobs, land, paths[0])
    assert going.wait(30)
    assert begin(jobs, land, paths[0]) is first  # the same file is the same import
    for path in paths[1:3]:
        begin(jobs, land, path)
    with pytest.raises(ImportsBusy) as refusal:
        begin(jobs, land, paths[3])
    assert refusal.value.facts["retry_after_s"] == RETRY_AFTER_S
    may_end.set()


@sqlite_only
def test_few_files_are_examined_at_once_few_callers_wait_and_the_next_is_told_to_come_again(
    jobs: ImportJobs,
) -> None:
    going, may_end = threading.Semaphore(0), threading.Event()
    inside: list[int] = []

    def one() -> None:
        with jobs.turn():
            inside.append(1)
            going.release()
            may_end.wait(30)

    callers = [threading.Thread(target=one) for _ in range(AT_ONCE + STANDING)]
    for caller in callers:
        caller.start()
    for _ in range(AT_ONCE):
        assert going.acquire(timeout=30)
    for _ in range(200):
        if jobs.standing == AT_ONCE + STANDING:
            break
        time.sleep(0.01)
    with pytest.raises(ImportsBusy) as refusal, jobs.turn():
        pass
    assert (len(inside), refusal.value.facts["retry_after_s"]) == (AT_ONCE, RETRY_AFTER_S)
    may_end.set()
    for caller in callers:
        caller.join(30)
    assert (len(inside), jobs.standing) == (AT_ONCE + STANDING, 0)
    with jobs.turn():
        pass


@sqlite_only
def test_an_import_that_runs_when_the_server_stops_is_given_up_and_leaves_no_file(
    land: Land, jobs: ImportJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def endless(*_: object, stop: threading.Event, **__: object) -> ImportReport:
        going.set()
        assert stop.wait(30)
        raise ReaderStopped(reason="given_up", seconds=1, memory_mib=1)

    monkeypatch.setattr("registry.parcels.import_jobs.import_file", endless)
    monkeypatch.setattr("registry.parcels.import_jobs.FINISHING_S", 0.05)
    job = begin(jobs, land, land.file([row(1, ground(0, 0))]))
    assert going.wait(30)
    jobs.close()
    assert job.finished.is_set()
    assert not job.path.parent.exists()
    assert load(land, ParcelImport, job.id).status == "running"  # by nobody: it is shown as interrupted


@sqlite_only
def test_a_fault_of_ours_is_the_jobs_and_names_its_reference(
    land: Land, jobs: ImportJobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> ImportReport:
        raise RuntimeError("something of ours")

    monkeypatch.setattr("registry.parcels.import_jobs.import_file", broken)
    job = begin(jobs, land, land.file([row(1, ground(0, 0))]))
    assert job.finished.wait(30)
    assert job.status == "failed"
    assert job.reference in caplog.text


# ---- real files --------------------------------------------------------------------------------------------

NUMBERED_BY = {
    "1_vietnam_areas.gpkg": "id_0",
    "LandUse.ExistingLandUse.GSAAAgriculturalParcel.gpkg": "fid",
    "antrag.zip": "ref_ident",
    "brpgewaspercelen_definitief_2023.gpkg": "id",
    "geojson_example.geojson": "user_id",
    "india_10k.zip": "area",
    "inspire_schlaege_2025-1_polygon.gpkg.zip": "fid",
    "iti1_2023.parquet": "off_id",
    "result_stands.geojson": "url",
    "result_layer10.geojson": "url",
}
SHARED = {
    "county": "330802", "village": "外地", "compartment": "1", "stand_type": "阔叶混", "declared_area": "10",
    "tenure_kind": "其他", "certificate": "无", "tenure_until": "2060-12-31",
}  # fmt: skip
"""What tables of other countries have no columns for."""


def numbered_by(heading: str) -> FieldMap:
    """The usual mapping where only the number has a column, under this heading."""
    mapping = load_mapping()
    fields = {
        name: how.model_copy(update={"headings": [heading] if name == "subcompartment" else [f"({name})"]})
        for name, how in mapping.fields.items()
    }
    return mapping.model_copy(update={"fields": fields})


REAL = {
    "1_vietnam_areas.gpkg": "parcel_too_small",
    "LU_ExistingLandUse_SIGEC2022.gml.zip": "format_unsupported",
    "LandUse.ExistingLandUse.GSAAAgriculturalParcel.gpkg": "taken",
    "antrag.zip": "encoding_unknown",
    "brpgewaspercelen_definitief_2023.gpkg": "parcel_too_small",
    "geojson_example.geojson": "taken",
    "india_10k.zip": "taken",
    "inspire_schlaege_2025-1_polygon.gpkg.zip": "parcel_too_small",
    "iti1_2023.parquet": "parcel_too_small",
    "result_layer10.geojson": "rows_overlap",
    "result_stands.geojson": "rows_overlap",
}
"""What becomes of each file: fields smaller than a mu and stands drawn over each other stay out."""


def brought(land: Land, path: Path, **options: Any) -> str:
    """What becomes of a real file: taken, or every code that it was refused with."""
    mapping = numbered_by(NUMBERED_BY.get(path.name, "id"))
    try:
        report = land.bring(land.village.first, path, mapping=mapping, values=SHARED, **options)
    except GeoRefusal as refusal:
        return refusal.code
    assert all(problem.facts["area_m2"] < 667 for problem in report.problems if "area_m2" in problem.facts)
    assert len(report.drafts) == (report.rows if report.taken else 0)
    return "taken" if report.taken else "+".join(sorted({problem.code for problem in report.problems}))


@sqlite_only
def test_real_files_come_in_with_a_mapping_and_values_or_are_refused_for_what_is_wrong(
    land: Land, test_data: Path
) -> None:
    paths = sorted([*(test_data / "parcels").iterdir(), *(test_data / "stands").iterdir()])
    assert {path.name: brought(land, path) for path in paths} == REAL
    umlauts = brought(land, test_data / "parcels" / "antrag.zip", encoding="ISO-8859-1")
    assert umlauts == "parcel_too_small+row_repeated"
    assert len(kept_files(land)) == list(REAL.values()).count("taken")


def test_the_stands_that_are_refused_do_lie_on_each_other(test_data: Path) -> None:
    """Judged in the plane, by shapely alone."""
    for name in ("result_layer10.geojson", "result_stands.geojson"):
        rows = read_parcels(test_data / "stands" / name).rows
        outlines = [row.geometry for row in rows if row.geometry is not None]
        tree = shapely.STRtree(outlines)
        first, second = tree.query(outlines, predicate="overlaps")
        shared = shapely.area(shapely.intersection(tree.geometries[first], tree.geometries[second]))
        assert shared.max(initial=0.0) > 1.0
