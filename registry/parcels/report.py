"""What is said about a parcel file: why a row can be refused, one problem, and the whole report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geo.errors import GeoRefusal
from registry.errors import RegistryRefusal
from registry.language import Language, filled
from registry.parcels.mapping import Value
from registry.parcels.rules import ImportRefused, mu_of_cm2


class RowRefused(RegistryRefusal):
    """What is wrong with a whole row."""

    code: ClassVar[str] = "row_refused"
    template: ClassVar[str] = "The row was refused."


class NoRows(RowRefused):
    code: ClassVar[str] = "no_rows"
    template: ClassVar[str] = "The file has no rows."


class RowRepeated(RowRefused):
    code: ClassVar[str] = "row_repeated"
    template: ClassVar[str] = "{key} stands in row {other} already."


class RowsOverlap(RowRefused):
    code: ClassVar[str] = "rows_overlap"
    template: ClassVar[str] = (
        "The row lies on the ground of row {other} ({other_key}): {overlap_m2} m2, {overlap_mu} mu, "
        "a share of {candidate_share} of it and of {neighbour_share} of the other; rule {rule}."
    )


class ParcelTooSmall(RowRefused):
    code: ClassVar[str] = "parcel_too_small"
    template: ClassVar[str] = "The outline has {area_m2} m2; a parcel has at least {minimum_m2} m2."


class TenureOver(RowRefused):
    code: ClassVar[str] = "tenure_over"
    template: ClassVar[str] = "The right ended on {until}."


class VillageWithoutOwner(RowRefused):
    code: ClassVar[str] = "village_without_owner"
    template: ClassVar[str] = "It was not said which collective owns the parcels of {village}."


class AreaDiffersFromCertificate(RowRefused):
    """A warning at import; review refuses it."""

    code: ClassVar[str] = "area_differs_from_certificate"
    template: ClassVar[str] = (
        "The outline has {area_mu} mu, the certificate {declared_mu} mu ({differs_ppm} parts per million)."
    )


class RowsShareSliver(RowRefused):
    """A warning: tolerated, but credited once."""

    code: ClassVar[str] = "rows_share_sliver"
    template: ClassVar[str] = (
        "The row shares a sliver of {overlap_m2} m2 with row {other} ({other_key}); it is credited once; "
        "rule {rule}."
    )


class LiesOnParcel(RowRefused):
    """A warning: what a draft shares with a registered parcel. The claim is what is refused."""

    code: ClassVar[str] = "lies_on_parcel"
    template: ClassVar[str] = (
        "The outline lies on the ground of parcel {parcel} ({status}): {overlap_m2} m2, {overlap_mu} mu, "
        "a share of {candidate_share} of it and of {neighbour_share} of the other ({kind}); rule {rule}."
    )


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing about one row (0: the whole file): the field, its value, and the reason in both languages."""

    row: int
    field: str
    value: Value
    code: str
    template: str
    facts: Mapping[str, Any]

    @classmethod
    def of(
        cls, row: int, refusal: RegistryRefusal | GeoRefusal, field: str = "geometry", value: Value = None
    ) -> "RowProblem":
        return cls(row, field, value, refusal.code, refusal.template, refusal.facts)

    def message(self, language: Language) -> str:
        return filled(self.template, self.facts, language)

    def to_json(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "field": self.field,
            "value": self.value,
            "code": self.code,
            "facts": dict(self.facts),
            "zh": self.message(Language.CHINESE),
            "en": self.message(Language.ENGLISH),
        }


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import. `taken` is false when there are problems, and in a dry run; `repeated` when it
    was taken before.
    """

    import_id: str
    source_sha256: str
    crs: str
    encoding: str
    encoding_source: str
    layer: str
    mapping: str
    rows: int
    area_cm2: int
    dry_run: bool
    taken: bool
    repeated: bool
    drafts: list[str] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    warnings: list[RowProblem] = field(default_factory=list)

    def require(self) -> "ImportReport":
        """The report, if there are no problems; else `ImportRefused` with every one of them."""
        if self.problems:
            raise ImportRefused(
                count=len(self.problems), rows=[problem.to_json() for problem in self.problems]
            )
        return self

    def to_json(self) -> dict[str, Any]:
        names = (
            "import_id", "source_sha256", "crs", "encoding", "encoding_source", "layer", "mapping", "rows",
            "area_cm2", "dry_run", "taken", "repeated", "drafts",
        )  # fmt: skip
        plain: dict[str, Any] = {name: getattr(self, name) for name in names}
        plain["area_mu"] = mu_of_cm2(self.area_cm2)
        plain["problems"] = [problem.to_json() for problem in self.problems]
        plain["warnings"] = [warning.to_json() for warning in self.warnings]
        return plain
