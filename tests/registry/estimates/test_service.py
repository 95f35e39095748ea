"""A period is estimated: computed before the act, recorded by it, superseded by the next."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from geo.coverage import array_names, cover_parcels
from geo.coverage_store import CoverageStore
from geo.crs import Polygonal
from geo.errors import RasterDoesNotCover, RasterGridMismatch
from geo.kept import Kept, keep
from geo.polygon import canonical, to_wkb
from geo.raster import Grid
from ledger.canonical import encode
from registry.accounts.service import NotFound
from registry.estimates.file_store import copy_path, file_sha256
from registry.estimates.models import EstimateRun
from registry.estimates.rasters.copies import normalise_raster, record_copy
from registry.estimates.rasters.store import load_raster, unbound
from registry.estimates.recompute import folder, recompute, write_outlines
from registry.estimates.rules import (
    NoEligibleLand,
    PlotStratumDiffers,
    RasterDatesWrong,
    RasterKindWrong,
    RunNotPrepared,
    StoredFileChanged,
)
from registry.estimates.service import (
    EstimatePeriod,
    RunRasters,
    load_case,
    load_record,
    load_run,
    period_runs,
    prepare_run,
    record_outlines,
    run_parcels,
)
from registry.machine import Role
from registry.parcels.models import Parcel, ParcelVersion
from registry.projects.models import LandClaim
from registry.projects.service import load_period
from registry.settings import Home
from registry.vacuum import vacuum
from tests.registry.forest import (
    END_ON,
    GRID,
    NOW,
    OUTLINES,
    START_ON,
    Forest,
    plots_text,
    write,
    write_classes,
)
from tests.registry.land import ground


def test_a_run_is_recorded_with_its_shares_and_the_period_points_to_it(forest: Forest) -> None:
    answer = forest.estimate(plots_text()).answer
    with forest.land.people.installation.database.read() as session:
        run = load_run(session, str(answer["run"]))
        shares = run_parcels(session, run.id)
        assert (run.tier, run.status, run.estimate_kg) == ("verified", "recorded", answer["estimate_kg"])
        assert [share.number for share in shares] == [1, 2, 3]
        assert sum(share.estimate_kg for share in shares) == run.estimate_kg > 0
        assert load_record(run).inputs.digest() == run.inputs_sha256
        period = load_period(session, forest.period)
        assert (period.status, period.run_id) == ("estimated", run.id)


def test_ground_that_is_no_forest_at_one_date_earns_nothing(forest: Forest) -> None:
    run = str(forest.estimate(plots_text()).answer["run"])
    with forest.land.people.installation.database.read() as session:
        record = load_record(load_run(session, run))
    parcels = {parcel.number: parcel for parcel in record.inputs.parcels}
    results: Any = record.results
    eligible = {parcel["number"]: parcel["eligible_cm2"] for parcel in results["parcels"]}
    assert eligible[1] == parcels[1].credited_cm2
    assert eligible[2] == parcels[2].credited_cm2
    pond_cm2 = parcels[3].credited_cm2 - eligible[3]
    assert 3.5e7 < pond_cm2 < 4.5e7  # four pixels of some 970 m2


def test_the_next_estimate_supersedes_the_first(forest: Forest) -> None:
    first = str(forest.estimate(plots_text()).answer["run"])
    second = str(forest.estimate(plots_text(), project_emissions_kg=2_000).answer["run"])
    with forest.land.people.installation.database.read() as session:
        runs = {run.id: run for run in period_runs(session, forest.period)}
        assert (runs[first].status, runs[second].status) == ("superseded", "recorded")
        assert runs[first].estimate_kg - runs[second].estimate_kg == 2_000
        assert load_period(session, forest.period).run_id == second


def test_what_was_not_computed_is_not_recorded(forest: Forest) -> None:
    command = forest.command(plots_text())
    with pytest.raises(RunNotPrepared):
        forest.land.people.do(forest.owner, "period.estimate", command)
    forest.prepare(command)
    other = command.model_copy(update={"leakage_kg": 1})
    with pytest.raises(RunNotPrepared):
        forest.land.people.do(forest.owner, "period.estimate", other)


def test_another_owners_period_is_as_good_as_missing(forest: Forest) -> None:
    command = forest.command(plots_text())
    stranger = forest.land.people.member(Role.COLLECTIVE, "丁村")
    with pytest.raises(NotFound):
        forest.land.people.do(stranger, "period.estimate", command)


def test_rasters_alone_give_a_number_that_is_for_looking_at(forest: Forest) -> None:
    answer = forest.estimate().answer
    assert answer["tier"] == "screening"
    assert answer["estimate_kg"] == 0  # its uncertainty lets nothing be credited
    with forest.land.people.installation.database.read() as session:
        record = load_record(load_run(session, str(answer["run"])))
    screening: Any = record.document["screening"]
    assert float(screening["delta_tco2e"]) > 0


def test_a_stored_run_is_computed_again_from_files_found_by_digest(forest: Forest) -> None:
    run = str(forest.estimate(plots_text()).answer["run"])
    installation = forest.land.people.installation
    with installation.database.read() as session:
        record = load_record(load_run(session, run))
        write_outlines(record_outlines(session, record), forest.folder / "outlines")
    home = installation.home.path
    again = recompute(record.text, folder(home / "rasters", home / "plots", forest.folder / "outlines"))
    assert again.same
    assert again.kg == record.estimate_kg


def test_the_log_binds_the_record(forest: Forest) -> None:
    run = str(forest.estimate(plots_text()).answer["run"])
    with forest.land.people.installation.database.read() as session:
        row = session.get_one(EstimateRun, run)
        record = load_record(row)
        assert row.commitment_key is not None
        assert encode(record.document).decode() == row.record


def test_a_raster_of_another_kind_is_refused(forest: Forest) -> None:
    command = forest.command(plots_text())
    swapped = command.rasters.model_copy(update={"agb_end": command.rasters.agb_end_sd})
    with pytest.raises(RasterKindWrong):
        forest.prepare(command.model_copy(update={"rasters": swapped}))


def test_an_unregistered_raster_is_refused(forest: Forest) -> None:
    command = forest.command(plots_text())
    unknown = command.rasters.model_copy(update={"agb_end": "0" * 64})
    with pytest.raises(NotFound):
        forest.prepare(command.model_copy(update={"rasters": unknown}))


def test_rasters_in_the_wrong_order_are_refused(forest: Forest) -> None:
    command = forest.command(plots_text())
    given = command.rasters
    turned = given.model_copy(
        update={
            "agb_start": given.agb_end,
            "agb_start_sd": given.agb_end_sd,
            "agb_end": given.agb_start,
            "agb_end_sd": given.agb_start_sd,
        }
    )
    with pytest.raises(RasterDatesWrong):
        forest.prepare(command.model_copy(update={"rasters": turned}))


def test_a_raster_on_another_grid_is_refused(forest: Forest) -> None:
    moved = Grid(GRID.crs, GRID.x0 + GRID.dx / 3, GRID.y0, GRID.dx, GRID.dy, GRID.width, GRID.height)
    path = write(forest.folder / "moved.tif", 66.5, grid=moved)
    command = forest.command(plots_text())
    other = forest.register_raster(path, "agb", END_ON)
    rasters = command.rasters.model_copy(update={"agb_end": other})
    with pytest.raises(RasterGridMismatch):
        forest.prepare(command.model_copy(update={"rasters": rasters}))


def test_rasters_that_end_before_a_parcel_are_refused(forest: Forest) -> None:
    short = Grid(GRID.crs, GRID.x0, GRID.y0, GRID.dx, GRID.dy, 30, GRID.height)
    at = forest.folder
    cover = forest.register_raster(write_classes(at / "lc.tif", 2, grid=short), "land_cover", START_ON)
    rasters = {
        "agb_start": forest.register_raster(write(at / "a.tif", 50.0, grid=short), "agb", START_ON),
        "agb_start_sd": forest.register_raster(write(at / "b.tif", 6.0, grid=short), "agb_sd", START_ON),
        "agb_end": forest.register_raster(write(at / "c.tif", 66.0, grid=short), "agb", END_ON),
        "agb_end_sd": forest.register_raster(write(at / "d.tif", 7.0, grid=short), "agb_sd", END_ON),
        "land_cover_start": cover,
        "land_cover_end": cover,
    }
    command = forest.command(plots_text()).model_copy(update={"rasters": RunRasters(**rasters)})
    with pytest.raises(RasterDoesNotCover):
        forest.prepare(command)


def test_a_raster_without_values_on_a_parcel_is_refused(forest: Forest) -> None:
    density = np.full((GRID.height, GRID.width), 66.0, np.float32)
    density[:, : int((OUTLINES[0].bounds[2] - GRID.x0) / GRID.dx)] = -9999.0
    command = forest.command(plots_text())
    holed = forest.register_raster(write(forest.folder / "holed.tif", density), "agb", END_ON)
    rasters = command.rasters.model_copy(update={"agb_end": holed})
    with pytest.raises(RasterDoesNotCover):
        forest.prepare(command.model_copy(update={"rasters": rasters}))


def test_land_without_forest_is_refused(forest: Forest) -> None:
    command = forest.command(plots_text())
    water = forest.register_raster(write_classes(forest.folder / "w.tif", 5), "land_cover", END_ON)
    rasters = command.rasters.model_copy(update={"land_cover_end": water})
    with pytest.raises(NoEligibleLand):
        forest.prepare(command.model_copy(update={"rasters": rasters}))


def test_a_raster_that_changed_on_the_disk_is_refused(forest: Forest) -> None:
    command = forest.command(plots_text())
    stored = forest.land.people.installation.home.rasters / f"{command.rasters.agb_end}.tif"
    stored.write_bytes(stored.read_bytes()[:-1] + b"\0")
    with pytest.raises(StoredFileChanged):
        forest.prepare(command)


def test_a_plot_of_another_forest_than_its_parcel_is_refused(forest: Forest) -> None:
    with pytest.raises(PlotStratumDiffers):
        forest.prepare(forest.command(plots_text(stand_type="oak")))


def test_a_run_read_from_copies_is_the_same_and_a_damaged_copy_is_not_read(forest: Forest) -> None:
    command = forest.command(plots_text())
    plain = compute_again(forest, command)
    installation = forest.land.people.installation
    with installation.database.read() as session:
        rows = [unbound(session, load_raster(session, one)) for one in forest.rasters.values()]
    made = {row.sha256: normalise_raster(installation.home, row) for row in rows}
    with installation.database.write() as session:
        for one in made.values():
            record_copy(session, one, NOW)
    assert compute_again(forest, command) == plain
    density = forest.rasters["agb_end"]
    copy = copy_path(installation.home, density, 1)
    write(copy, 90.0)
    assert compute_again(forest, command) == plain  # its bytes are not those that were recorded
    with installation.database.write() as session:
        record_copy(session, replace(made[density], target_sha256=file_sha256(copy) or ""), NOW)
    assert compute_again(forest, command) != plain  # so copies are what is read


def compute_again(forest: Forest, command: EstimatePeriod) -> str:
    installation = forest.land.people.installation
    return prepare_run(
        installation.database, installation.home, forest.owner.organisation, command, keep=False
    ).record.text


def test_shares_that_somebody_planted_with_right_digests_move_no_kilogram(forest: Forest) -> None:
    command = forest.command(plots_text())
    honest = compute_again(forest, command)
    home = forest.land.people.installation.home
    (shard,) = home.coverage.glob("*/*.shares")
    with_digests = Kept(shard)
    arrays = {name: with_digests.array(name).copy() for name in (*array_names(), "keys")}
    arrays["cell_share"] = arrays["cell_share"][::-1]  # the same sum, over other cells
    keep(shard, with_digests.facts, arrays)
    believed = CoverageStore(home.coverage)
    with forest.land.people.installation.database.read() as session:
        case = load_case(session, command)
    keys = [parcel.geometry_sha256 for parcel in case.inputs.parcels]
    planted = believed.coverage(case.outlines, keys, GRID)
    assert planted.cell_share.tobytes() != cover_parcels(case.outlines, GRID).cell_share.tobytes()
    assert compute_again(forest, command) == honest
    mended = CoverageStore(home.coverage).coverage(case.outlines, keys, GRID)
    assert mended.cell_share.tobytes() == cover_parcels(case.outlines, GRID).cell_share.tobytes()


def test_shares_of_cells_are_kept_and_leave_the_disk_with_an_outline_that_was_erased(forest: Forest) -> None:
    run = str(forest.estimate(plots_text()).answer["run"])
    installation = forest.land.people.installation
    home = installation.home
    assert CoverageStore(home.coverage).facts().parcels == 3
    assert vacuum(home) == []
    with installation.database.write() as session:
        parcels = load_record(load_run(session, run)).inputs.parcels
        erased = session.get_one(ParcelVersion, (parcels[0].parcel, parcels[0].version))
        traces = [edge_shares(home, erased.wkb or b"")]
        changed = session.get_one(ParcelVersion, (parcels[1].parcel, parcels[1].version))
        traces.append(edge_shares(home, changed.wkb or b""))
        erased.wkb = None
        changed.wkb = to_wkb(canonical(ground(9_000, 9_000, 100, 100)))
    assert [on_disk(home.cache, trace) for trace in traces] == [True, True]
    assert vacuum(home) == ["cache/coverage"]
    assert [on_disk(home.cache, trace) for trace in traces] == [False, False]
    assert CoverageStore(home.coverage).facts().parcels == 1
    assert vacuum(home) == []


def test_shares_under_an_outline_that_was_superseded_leave_the_disk_when_no_claim_runs_on_it(
    forest: Forest,
) -> None:
    run = str(forest.estimate(plots_text()).answer["run"])
    installation = forest.land.people.installation
    store = CoverageStore(installation.home.coverage)
    with installation.database.write() as session:
        one = load_record(load_run(session, run)).inputs.parcels[0]
        session.get_one(Parcel, one.parcel).version += 1
    assert vacuum(installation.home) == []
    with installation.database.write() as session:
        for claim in session.scalars(sa.select(LandClaim).where(LandClaim.parcel_id == one.parcel)):
            claim.status = "ended"
    assert vacuum(installation.home) == ["cache/coverage"]
    assert store.facts().parcels == 2


def edge_shares(home: Home, wkb: bytes) -> bytes:
    """What is kept of an outline, as it is on the disk."""

    def kept(_: object) -> list[Polygonal]:
        raise AssertionError("it is kept")

    key = hashlib.sha256(wkb).hexdigest()
    shares = CoverageStore(home.coverage).coverage(kept, [key], GRID).cell_share.tobytes()
    assert len(shares) > 40
    return shares


def on_disk(folder: Path, sought: bytes) -> bool:
    return any(sought in file.read_bytes() for file in folder.rglob("*") if file.is_file())
