"""Method versions: which equations, in which code, with which parameter tables. A project's is fixed at
registration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from registry.estimates.methods.errors import UnknownMethod, UnknownStandType
from registry.estimates.methods.parameters import (
    MOSO_BAMBOO,
    DeductionRule,
    Mark,
    ParameterSet,
    RowUse,
    bamboo_parameters,
    default_parameters,
    sha256_hex,
)
from registry.programmes.methods import OFFERED

CODE_VERSION: Final = "1"
"""Of the first methods. A method's code version is raised whenever its arithmetic changes a result; the
digests of results in the tests say when that is.
"""


class Biomass(StrEnum):
    """The one biomass equation of a project (D3)."""

    VOLUME = "E-F1"
    LINEAR = "E-F2"
    TREES = "E-F3"
    CULMS = "E-F6"


class ChangeEstimator(StrEnum):
    """How plots become a mean change. The method fixes it, so that nobody picks the best result
    afterwards.
    """

    STRATIFIED = "stratified"
    COMBINED_RATIO = "combined_ratio"
    COMBINED_REGRESSION = "combined_regression"
    WEIGHTED_RATIO = "weighted_ratio"
    WEIGHTED_REGRESSION = "weighted_regression"

    @property
    def is_ratio(self) -> bool:
        return self in (ChangeEstimator.COMBINED_RATIO, ChangeEstimator.WEIGHTED_RATIO)

    @property
    def is_weighted(self) -> bool:
        """Whether its error knows where the plots lie on the raster (g-weights)."""
        return self in (ChangeEstimator.WEIGHTED_RATIO, ChangeEstimator.WEIGHTED_REGRESSION)


@dataclass(frozen=True, slots=True)
class MethodVersion:
    """Everything that decides a result besides the measurements."""

    id: str
    biomass: Biomass
    estimator: ChangeEstimator
    deduction_rule: str
    code_version: str
    parameters: ParameterSet

    @property
    def superseded_by(self) -> str | None:
        """The version that is offered in its place, or None; what runs on under this one is computed on."""
        return OFFERED.get(self.id)

    @property
    def rule(self) -> DeductionRule:
        return self.parameters.deduction_rules.row(self.deduction_rule)

    def record(self) -> dict[str, object]:
        """The facts of the method for a run record, JSON-able."""
        return {
            "id": self.id,
            "biomass": self.biomass.value,
            "estimator": self.estimator.value,
            "deduction_rule": self.deduction_rule,
            "code_version": self.code_version,
            "parameter_tables": self.parameters.digests(),
        }

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of `record()`, hex."""
        return sha256_hex(self.record())

    def rows_to_attest(self, stand_types: Iterable[str]) -> tuple[RowUse, ...]:
        """The rows used for these stand types that are not sure: a verifier attests them before issuance
        (D2).
        """
        used: list[RowUse] = []
        tables = self.parameters
        for code in sorted(set(stand_types)):
            used += self._bamboo_rows(code) if self.biomass is Biomass.CULMS else self._tree_rows(code)
        used.append(RowUse(tables.deduction_rules.name, self.rule.code, self.rule.mark, self.rule.source))
        for code in _SETTINGS_OF_ISSUANCE:
            setting = tables.settings.row(code)
            used.append(RowUse(tables.settings.name, code, setting.mark, setting.source))
        return tuple(use for use in used if use.mark is not Mark.SURE)

    def _tree_rows(self, code: str) -> list[RowUse]:
        tables = self.parameters
        row = tables.stand_types.row(code)
        used = [RowUse(tables.stand_types.name, code, row.mark, row.source)]
        if self.biomass is Biomass.LINEAR:
            line = tables.linear_biomass.row(code)
            used.append(RowUse(tables.linear_biomass.name, code, line.mark, line.source))
        return used

    def _bamboo_rows(self, code: str) -> list[RowUse]:
        table = self.parameters.bamboo
        if table is None or code != MOSO_BAMBOO:
            raise UnknownStandType(table="bamboo", stand_type=code)
        return [RowUse(table.name, row.code, row.mark, row.source) for row in table.rows.values()]


_SETTINGS_OF_ISSUANCE: Final = ("reliability", "min_plots_per_stratum", "min_linear_volume_m3_ha")


def _versions() -> tuple[MethodVersion, ...]:
    tables = default_parameters()

    def of(
        name: str, biomass: Biomass, estimator: ChangeEstimator, version: str = CODE_VERSION
    ) -> MethodVersion:
        return MethodVersion(f"{name}/{version}", biomass, estimator, "ar_cm", version, tables)

    plain = ChangeEstimator.STRATIFIED
    ratio, regression = "zj-ph-forest-management-ratio", "zj-ph-forest-management-regression"
    return (
        of("zj-ph-forest-management", Biomass.VOLUME, plain),
        of("zj-ph-forest-management-linear", Biomass.LINEAR, plain),
        of("zj-ph-forest-management-trees", Biomass.TREES, plain),
        of(ratio, Biomass.VOLUME, ChangeEstimator.COMBINED_RATIO),
        of(regression, Biomass.VOLUME, ChangeEstimator.COMBINED_REGRESSION),
        of(ratio, Biomass.VOLUME, ChangeEstimator.WEIGHTED_RATIO, "2"),
        of(regression, Biomass.VOLUME, ChangeEstimator.WEIGHTED_REGRESSION, "2"),
        MethodVersion("zj-ph-bamboo-management/1", Biomass.CULMS, plain, "ar_cm", "1", bamboo_parameters()),
    )


METHODS: Final[Mapping[str, MethodVersion]] = MappingProxyType({one.id: one for one in _versions()})
DEFAULT_METHOD: Final = "zj-ph-forest-management/1"


def method_version(method: str = DEFAULT_METHOD) -> MethodVersion:
    """The method version of an id, or `UnknownMethod`."""
    try:
        return METHODS[method]
    except KeyError:
        raise UnknownMethod(method=method) from None
