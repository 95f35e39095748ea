"""The demo's input: generated land of three invented villages, or files of the user's own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import ClassVar

from fixtures.quzhou import generate
from registry.errors import RegistryRefusal
from registry.estimates.input_files import UNITS, RasterClaim, RasterKind


class DemoInputMissing(RegistryRefusal):
    code: ClassVar[str] = "demo_input_missing"
    template: ClassVar[str] = "With files of your own the demo needs {missing} too."


@dataclass(frozen=True, slots=True)
class Files:
    """What the villages hand in. Standard deviations and land cover may be missing from files of the user's
    own.
    """

    parcels: Path
    agb_start: Path
    agb_end: Path
    plots: Path
    agb_start_sd: Path
    agb_end_sd: Path
    land_cover_start: Path
    land_cover_end: Path
    agb_start_on: date
    agb_end_on: date
    period_from: date
    period_to: date
    villages: dict[str, str]
    """County code by village name, as the parcels file writes both."""
    agb_product: str = "demo-agb"
    own: bool = False

    def rasters(self) -> list[tuple[str, Path, RasterClaim]]:
        """Every raster: its name in a run, its file, and what is said of it."""
        start, end = self.agb_start_on, self.agb_end_on
        return [
            ("agb_start", self.agb_start, self._claim("agb", start)),
            ("agb_start_sd", self.agb_start_sd, self._claim("agb_sd", start)),
            ("agb_end", self.agb_end, self._claim("agb", end)),
            ("agb_end_sd", self.agb_end_sd, self._claim("agb_sd", end)),
            ("land_cover_start", self.land_cover_start, self._claim("land_cover", start)),
            ("land_cover_end", self.land_cover_end, self._claim("land_cover", end)),
        ]

    def _claim(self, kind: RasterKind, taken_on: date) -> RasterClaim:
        """Nobody has said under which licence files of the user's own are."""
        product = LAND_COVER if kind == "land_cover" else self.agb_product
        licence, source = (None, None) if self.own else ("CC0-1.0", "made up for the demo")
        return RasterClaim(kind, product, taken_on, unit=UNITS[kind], licence=licence, source=source)

    def copied(self, folder: Path, copy: Callable[[Path, Path], object]) -> "Files":
        """The same files below `folder`."""
        folder.mkdir(parents=True, exist_ok=True)

        def moved(name: str, source: Path) -> Path:
            target = folder / f"{name}-{source.name}"
            copy(source, target)
            return target

        return replace(
            self,
            parcels=moved("parcels", self.parcels),
            agb_start=moved("start", self.agb_start),
            agb_end=moved("end", self.agb_end),
            plots=moved("plots", self.plots),
        )


LAND_COVER = "CLCD"
PERIOD = (date(2020, 1, 1), date(2025, 1, 1))


def generated(folder: Path) -> Files:
    """The generated input of `fixtures.quzhou`, written below `folder`."""
    made = generate(folder)
    return Files(
        parcels=made.parcels_zip,
        agb_start=made.agb_start,
        agb_end=made.agb_end,
        plots=made.plots_csv,
        agb_start_sd=made.agb_start_sd,
        agb_end_sd=made.agb_end_sd,
        land_cover_start=made.land_cover_start,
        land_cover_end=made.land_cover_end,
        agb_start_on=made.agb_start_on,
        agb_end_on=made.agb_end_on,
        period_from=made.period_from,
        period_to=made.period_to,
        villages={village.name: village.county_code for village in made.villages},
    )


def given(parcels: Path | None, agb: tuple[Path, Path] | None, plots: Path | None) -> Files:
    """Files of the user's own; all three kinds are needed (`DemoInputMissing`). `own.complete` fills in the
    rest.
    """
    wanted = {"--parcels": parcels, "--agb": agb, "--plots": plots}
    missing = [name for name, value in wanted.items() if value is None]
    if parcels is None or agb is None or plots is None:
        raise DemoInputMissing(missing=", ".join(missing))
    nothing = Path()
    return Files(
        parcels=parcels,
        agb_start=agb[0],
        agb_end=agb[1],
        plots=plots,
        agb_start_sd=nothing,
        agb_end_sd=nothing,
        land_cover_start=nothing,
        land_cover_end=nothing,
        agb_start_on=PERIOD[0],
        agb_end_on=PERIOD[1],
        period_from=PERIOD[0],
        period_to=PERIOD[1],
        villages={},
        own=True,
    )
