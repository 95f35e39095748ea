"""Whether what a record says of its inputs can be those of a run: a stranger's record says anything."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, get_args

from registry.estimates.methods.plot_files import Measurement
from registry.programmes.rules import MILLION

if TYPE_CHECKING:
    from registry.estimates.inputs import ParcelInput, RasterInput, RunInputs, TermsInput

_MOST: Final = 1 << 63
_PPM: Final = ("buffer_ppm", "withheld_ppm", "baseline_ppm")


def nonsense(inputs: "RunInputs") -> str | None:
    """What cannot be, or None: numbers that are none or out of bounds, a parcel twice, more ground credited
    than there is, an unknown kind of plots.
    """
    return next(_nonsense(inputs), None)


def _nonsense(inputs: "RunInputs") -> Iterator[str]:
    for name in ("project_emissions_kg", "leakage_kg"):
        if not _whole(getattr(inputs, name)):
            yield name
    if inputs.plots is not None and inputs.plots.measurement not in get_args(Measurement):
        yield "plots.measurement"
    yield from _of_terms(inputs.terms)
    for raster in inputs.rasters:
        yield from _of_raster(raster)
    for parcel in inputs.parcels:
        yield from _of_parcel(parcel)
    if not inputs.parcels:
        yield "parcels"
    for name in ("number", "parcel"):
        if len({getattr(one, name) for one in inputs.parcels}) != len(inputs.parcels):
            yield f"a parcel is named twice ({name})"


def _of_terms(terms: "TermsInput") -> Iterator[str]:
    for name in _PPM:
        if not _whole(getattr(terms, name), most=MILLION):
            yield f"terms.{name}"
    for name in ("plausible_kg_ha_year", "refused_kg_ha_year"):
        if not _whole(getattr(terms, name)):
            yield f"terms.{name}"


def _of_raster(raster: "RasterInput") -> Iterator[str]:
    if raster.band is not None and not _whole(raster.band, 1):
        yield f"rasters.{raster.name}.band"
    if not all(type(text) is str for text in (raster.sha256, raster.product, raster.taken_on)):
        yield f"rasters.{raster.name}"


def _of_parcel(parcel: "ParcelInput") -> Iterator[str]:
    texts = (parcel.parcel, parcel.geometry_sha256, parcel.stand_type)
    sound = (
        _whole(parcel.number)
        and _whole(parcel.version)
        and _whole(parcel.area_cm2, 1)
        and _whole(parcel.credited_cm2, most=parcel.area_cm2)
        and all(type(text) is str for text in texts)
    )
    if not sound:
        yield f"parcels.{str(parcel.number)[:20]}"


def _whole(value: object, least: int = 0, most: int = _MOST) -> bool:
    return type(value) is int and least <= value <= most
