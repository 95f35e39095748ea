"""Runs are recorded once and superseded, never edited (RULES 1.3)."""

from typing import ClassVar, Final

from registry.errors import RegistryRefusal
from registry.machine import Machine, step
from registry.projects.rules import OWNERS

RUN: Final = Machine(
    "run",
    "none",
    {
        ("none", "record"): step("recorded", *OWNERS),
        ("recorded", "supersede"): step("superseded", *OWNERS),
    },
)

TIER_SCREENING: Final = "screening"
TIER_VERIFIED: Final = "verified"
"""Proven by plots, and so fit to be verified (D1). A verifier's signature makes it issuable."""

MAX_UNCERTAINTY_PPM: Final = 300_000
"""R-15, E-U2: above 30 % nothing is issued."""


class EstimateRefused(RegistryRefusal):
    """The root of this room's refusals; a calculation's own are `MethodRefusal`."""

    code: ClassVar[str] = "estimate_refused"
    template: ClassVar[str] = "The estimate was refused."


class RunNotPrepared(EstimateRefused):
    """No run was computed for the inputs as they stand; they may have changed since."""

    code: ClassVar[str] = "run_not_prepared"
    template: ClassVar[str] = (
        "No estimate was computed for these inputs as they stand now (digest {inputs_sha256}); prepare it, "
        "then ask again."
    )


class RasterKindWrong(EstimateRefused):
    code: ClassVar[str] = "raster_kind_wrong"
    template: ClassVar[str] = (
        "The raster {sha256} is registered as {kind} in {unit}; {expected} is needed as {name}."
    )


class RasterValuesWrong(EstimateRefused):
    """Values that a raster of this kind cannot hold."""

    code: ClassVar[str] = "raster_values_wrong"
    template: ClassVar[str] = "The raster {name} holds values that {kind} cannot have under parcel {parcel}."


class RasterDatesWrong(EstimateRefused):
    code: ClassVar[str] = "raster_dates_wrong"
    template: ClassVar[str] = (
        "The rasters of the start are of {start_on}, those of the end of {end_on}: they have to follow each "
        "other."
    )


class RasterOfTheFuture(EstimateRefused):
    code: ClassVar[str] = "raster_of_the_future"
    template: ClassVar[str] = "The raster is said to be of {taken_on}; that day has not come."


class ProductUnknown(EstimateRefused):
    code: ClassVar[str] = "land_cover_product_unknown"
    template: ClassVar[str] = (
        "The classes of the land-cover product {product} are not known; known are {known}."
    )


class RegisteredOtherwise(EstimateRefused):
    """The same bytes were registered as something else."""

    code: ClassVar[str] = "file_registered_otherwise"
    template: ClassVar[str] = "The file {sha256} is registered as {registered} already, not as {asked}."


class StoredFileChanged(EstimateRefused):
    code: ClassVar[str] = "stored_file_changed"
    template: ClassVar[str] = (
        "The file {sha256} is missing or is no longer what it was when it was registered."
    )


class PlotUnplaced(EstimateRefused):
    code: ClassVar[str] = "plot_unplaced"
    template: ClassVar[str] = (
        "Plot {plot} has no coordinates, so nobody can say whether it stands on the project's land."
    )


class PlotStratumDiffers(EstimateRefused):
    code: ClassVar[str] = "plot_stratum_differs"
    template: ClassVar[str] = (
        "Plot {plot} is recorded as {stratum}, but parcel {parcel} on which it stands as {stand_type}."
    )


class PlotsUnanswered(EstimateRefused):
    """What `plot_checks` calls an outlier is corrected or explained by its owner before the file is kept."""

    code: ClassVar[str] = "plots_unanswered"
    template: ClassVar[str] = (
        "{count} findings about the plots have to be answered: correct the file, or say in the column "
        "explanation (异常说明) why a plot that stands out is right."
    )


class NoEligibleLand(EstimateRefused):
    code: ClassVar[str] = "no_eligible_land"
    template: ClassVar[str] = (
        "No land of the project is forest at both dates under a claim that covers the period."
    )


class RecordMalformed(EstimateRefused):
    code: ClassVar[str] = "run_record_malformed"
    template: ClassVar[str] = "The run record cannot be read: {reason}."


class RecordErased(EstimateRefused):
    code: ClassVar[str] = "run_record_erased"
    template: ClassVar[str] = "The record of run {run} was erased; it cannot be computed again."


class RasterNotRedistributable(EstimateRefused):
    """Its licence is a private one, or nobody stated one."""

    code: ClassVar[str] = "raster_not_redistributable"
    template: ClassVar[str] = (
        "The licence {licence} of the raster {name} ({sha256}) does not say that it may be passed on; "
        "leave the rasters out, or correct its statement."
    )


class BundleOutlineErased(EstimateRefused):
    code: ClassVar[str] = "bundle_outline_erased"
    template: ClassVar[str] = (
        "The outline of parcel {parcel} was erased, so run {run} cannot be handed out whole."
    )


class BundleRefused(EstimateRefused):
    """`reason` is one of: damaged, encrypted, method, member_name, too_many_members, too_large, ratio,
    missing, format.
    """

    code: ClassVar[str] = "bundle_refused"
    template: ClassVar[str] = "This is no bundle of a run that can be read ({reason}): {detail}."


class DeviationsMissing(EstimateRefused):
    code: ClassVar[str] = "raster_deviations_missing"
    template: ClassVar[str] = (
        "Nothing says how far the raster {name} ({sha256}) may be wrong: name the raster of its standard "
        "deviations, or state its error model."
    )


class EarlierPeriodUnsettled(EstimateRefused):
    """What a bamboo project may be credited depends on what it was credited before (E-F7)."""

    code: ClassVar[str] = "earlier_period_unsettled"
    template: ClassVar[str] = (
        "The earlier period {period} of this project is {status}; with this method it has to be verified or "
        "ended first, because a stand is credited only up to the level at which it is full."
    )


class ScreeningWithoutParcels(EstimateRefused):
    code: ClassVar[str] = "screening_without_parcels"
    template: ClassVar[str] = "There is no parcel to be screened."


class ScreeningRowsFaulty(EstimateRefused):
    """Rows of a file of parcels whose outlines cannot be used; `rows` lists them."""

    code: ClassVar[str] = "screening_rows_faulty"
    template: ClassVar[str] = (
        "{count} of the outlines in {file} cannot be used; the first is row {row}: {fault}."
    )
