"""Which files a run reads: rasters and plots as they are described, where they lie, and their copies."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.orm import Session

from registry.estimates.input_files import load_plots, load_raster, plots_path, raster_path
from registry.estimates.inputs import (
    ELIGIBLE_SHARE,
    ERRORS_OF,
    LAND_COVERS,
    RASTERS,
    WITHOUT_RASTER,
    PlotsInput,
    RasterInput,
    RunInputs,
)
from registry.estimates.methods.plot_files import READER
from registry.estimates.models import RasterStatement
from registry.estimates.plain import plain
from registry.estimates.rasters.copies import RasterFile, raster_file
from registry.estimates.rules import DeviationsMissing, RasterKindWrong
from registry.settings import Home


def raster_inputs(session: Session, rasters: Mapping[str, str | None]) -> tuple[RasterInput, ...]:
    """The rasters of a run by name, as their statements describe them; `rasters` has a digest for each name.

    Raises `NotFound`, `RasterKindWrong`, `DeviationsMissing`.
    """
    chosen: list[RasterInput] = []
    for name, kind in RASTERS.items():
        sha256 = rasters[name] or _deviations_of(name, chosen)
        if sha256 is None:
            continue
        row = load_raster(session, sha256)
        if row.kind != kind and not (name in LAND_COVERS and row.kind == ELIGIBLE_SHARE):
            raise RasterKindWrong(sha256=row.sha256, kind=row.kind, unit=row.unit, expected=kind, name=name)
        chosen.append(_raster_input(name, row))
    return tuple(chosen)


def _deviations_of(name: str, chosen: list[RasterInput]) -> str | None:
    """The raster of deviations that a density's error model names; None where the model needs none
    (`DeviationsMissing`).
    """
    density = next(one for one in chosen if ERRORS_OF.get(one.name) == name)
    model = density.error_model or {}
    if density.error_kind in WITHOUT_RASTER:
        return None
    named = model.get("sd_sha256")
    if not isinstance(named, str):
        raise DeviationsMissing(name=density.name, sha256=density.sha256)
    return named


def _raster_input(name: str, row: RasterStatement) -> RasterInput:
    classes = row.forest_classes
    return RasterInput(
        name=name,
        sha256=row.sha256,
        product=row.product,
        taken_on=row.taken_on,
        statement=row.version,
        kind=row.kind,
        unit=row.unit,
        band=row.band,
        licence=row.licence,
        error_model=row.error_model,
        forest_classes=None if classes is None else tuple(classes),
        values_sha256=row.values_sha256,
        grid={key: plain(value) for key, value in row.file.grid.items()},
    )


def plots_input(session: Session, sha256: str | None) -> PlotsInput | None:
    if sha256 is None:
        return None
    row = load_plots(session, sha256)
    return PlotsInput(row.sha256, row.measurement, READER, row.design_sha256)


def paths_of(home: Home, inputs: RunInputs) -> dict[str, Path]:
    paths = {raster.name: raster_path(home, raster.sha256) for raster in inputs.rasters}
    return paths if inputs.plots is None else {**paths, "plots": plots_path(home, inputs.plots.sha256)}


def copies_of(session: Session, home: Home, inputs: RunInputs) -> dict[str, RasterFile]:
    return {
        raster.name: raster_file(session, home, raster.sha256, raster.band or 1) for raster in inputs.rasters
    }
