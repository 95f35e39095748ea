"""From the options of `tanhui estimate` to a file of stocks: which rasters, which parcels, which store."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from geo.work import Progress, Workers
from registry.cli.common import existing

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ScreeningQuestion:
    """What is to be screened. Rasters are digests of registered ones, or files; parcels a file, else the
    register's.
    """

    agb: str
    sd: str | None = None
    error_ppm: int | None = None
    rho_space_ppm: int | None = None
    land_cover: str | None = None
    forest: str = "CLCD"
    parcels: Path | None = None
    programme: str | None = None
    stand_type: str | None = None
    crs: str | None = None
    encoding: str | None = None
    layer: str | None = None

    @property
    def needs_home(self) -> bool:
        named = [one for one in (self.agb, self.sd, self.land_cover) if one is not None]
        return self.parcels is None or any(_DIGEST.fullmatch(one) for one in named)


def screen_to_file(
    question: ScreeningQuestion, out: Path, home: Path | None, workers: Workers, progress: Progress
) -> dict[str, Any]:
    """Screen, write, and answer what the file's metadata say. Without a home nothing is kept but the file."""
    from geo.coverage_store import CoverageStore
    from registry.estimates.methods import default_parameters
    from registry.estimates.screening import Tally, screen
    from registry.estimates.screening_files import write_stocks

    tally, parameters = Tally(), default_parameters()
    with ExitStack() as stack:
        world = stack.enter_context(_world(question, home))
        density = stack.enter_context(world.density(question))
        candidates, total = world.candidates(question, progress)
        store = CoverageStore(world.coverage)

        def about() -> dict[str, Any]:
            return tally.to_json() | {
                "what": "stock by raster (E-R1), error by E-R2 for one date; screening, never to be issued",
                "rasters": world.named,
                "parameters_sha256": parameters.digest(),
            }

        rows = screen(candidates, density, parameters, store, total=total, workers=workers, progress=progress)
        write_stocks(out, ((tally.add(row), wkb) for row, wkb in rows), about)
        return about()


class _World:
    """The home, where one is needed, and what was read from it."""

    def __init__(self, home: Any, database: Any, coverage: Path) -> None:
        self.home, self.database, self.coverage = home, database, coverage
        self.named: dict[str, str] = {}

    @contextmanager
    def density(self, question: ScreeningQuestion) -> Iterator[Any]:
        from geo.zonal import Mask
        from registry.estimates.screening import Density

        with ExitStack() as stack:
            agb, said = self._raster(stack, "agb", question.agb)
            model = {} if said is None else dict(said.error_model)
            sd = question.sd or model.get("sd_sha256")
            deviations, _ = (None, None) if sd is None else self._raster(stack, "agb_sd", sd)
            covers: tuple[Mask, ...] = ()
            if question.land_cover is not None:
                cover, stated = self._raster(stack, "land_cover", question.land_cover)
                covers = (Mask(cover.source, _classes(question, stated), cover.band),)
            rho = question.rho_space_ppm if question.rho_space_ppm is not None else model.get("rho_space_ppm")
            yield Density(
                source=agb.source,
                band=agb.band,
                deviations=None if deviations is None else deviations.source,
                deviations_band=1 if deviations is None else deviations.band,
                relative_ppm=question.error_ppm if question.error_ppm is not None else model.get("ppm"),
                absolute_kg_ha=model.get("kg_ha"),
                rho_space=None if rho is None else rho / 1_000_000,
                covers=covers,
            )

    def _raster(self, stack: ExitStack, kind: str, named: str) -> tuple[Any, Any]:
        """A raster opened, and its statement where it is registered (RasterKindWrong, StoredFileChanged)."""
        from geo.raster import RasterSource
        from registry.estimates.input_files import load_raster
        from registry.estimates.rasters.copies import believed, raster_file
        from registry.estimates.rules import RasterKindWrong

        if not _DIGEST.fullmatch(named):
            source = stack.enter_context(RasterSource.open(Path(named)))
            self.named[kind] = source.facts().sha256
            return _Opened(source, 1), None
        with self.database.read() as session:
            row = load_raster(session, named)
            file = raster_file(session, self.home, named, row.band)
            session.expunge(row)
        if row.kind not in (kind, "eligible_share" if kind == "land_cover" else kind):
            raise RasterKindWrong(sha256=named, kind=row.kind, unit=row.unit, expected=kind, name=kind)
        self.named[kind] = named
        file = believed(self.home, file, named, row.band)
        return _Opened(stack.enter_context(RasterSource.open(file.path)), file.band), row

    def candidates(self, question: ScreeningQuestion, progress: Progress) -> tuple[Any, int]:
        from geo.examine import Declared
        from registry.estimates.screening_files import (
            candidates_of_file,
            candidates_of_register,
            count_register,
        )

        if question.parcels is None:
            with self.database.read() as session:
                total = count_register(session, question.programme)
            return candidates_of_register(self.database, question.programme), total
        declared = Declared(question.crs, question.encoding, question.layer)
        found = candidates_of_file(
            question.parcels, declared, stand_type=question.stand_type, progress=progress
        )
        return found, len(found)


@dataclass(frozen=True, slots=True)
class _Opened:
    source: Any
    band: int


def _classes(question: ScreeningQuestion, stated: Any) -> tuple[int, ...] | None:
    """Forest classes of a land cover; None for a raster of shares (`ProductUnknown`)."""
    from registry.estimates.rasters.rules import FOREST_CLASSES
    from registry.estimates.rules import ProductUnknown

    if stated is not None:
        return None if stated.kind == "eligible_share" else tuple(stated.forest_classes or ())
    if question.forest in FOREST_CLASSES:
        return FOREST_CLASSES[question.forest]
    try:
        return tuple(int(one) for one in question.forest.split(","))
    except ValueError:
        raise ProductUnknown(product=question.forest[:80], known=", ".join(sorted(FOREST_CLASSES))) from None


@contextmanager
def _world(question: ScreeningQuestion, home: Path | None) -> Iterator[_World]:
    from registry.database import Database

    if not question.needs_home and home is None:
        with tempfile.TemporaryDirectory(prefix="tanhui-coverage-") as scratch:
            yield _World(None, None, Path(scratch))
        return
    target = existing(home)
    database = Database(target.database_url)
    try:
        yield _World(target, database, target.coverage)
    finally:
        database.dispose()
