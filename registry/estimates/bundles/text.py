"""What a bundle says to people: how to check it without this software, and the method in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from registry.estimates.inputs import RasterInput
from registry.estimates.rasters.rules import FOREST_CLASSES
from registry.estimates.run_record import RunRecord

_EQUATIONS: Final[Mapping[str, str]] = {
    "E-F1": "carbon = volume_m3_ha * wood_density * bef * (1 + root_shoot) * carbon_fraction",
    "E-F2": (
        "carbon = (a * volume_m3_ha + b) * carbon_fraction; where a volume is below "
        "min_linear_volume_m3_ha at "
        "either date, both dates by E-F1"
    ),
    "E-F3": (
        "above-ground dry matter of a tree by its diameter and the wood density of its stand type, "
        "summed over the "
        "plot and divided by its area; carbon = dry matter * (1 + root_shoot) * carbon_fraction"
    ),
    "E-F6": (
        "above-ground dry matter of a culm by its diameter D (cm) and age class du, M = 747.787 * "
        "D^2.771 * (0.148 * "
        "du / (0.028 + du))^5.555 + 3.772 kg, summed over the plot and divided by its area; carbon = "
        "dry matter "
        "* (1 + root_shoot) * carbon_fraction; the change since the project's start is credited up to the "
        "level c_stable_tc_ha (E-F7; evidence.saturation in the record)"
    ),
}

_README: Final = """\
# 一次碳汇量计算的全部材料 / Everything that one estimate of carbon was made from

运行 run {run}
结果 result {estimate_kg} kg CO2e, {tier}
方法 method {method}
监测期 period {from_on} – {to_on}（不含末日 the last day is not part of it）

## 不用我们的软件如何核对（中文）

1. `sha256sum -c SHA256SUMS`：文件与打包时一致。
2. `record.json` 是运行记录（规范 JSON：键按字典序、无空格、无浮点数；小数写成文本）。
   `inputs` 的规范 JSON 的 SHA-256 等于 `inputs_sha256`。
3. `inputs.rasters[].sha256` 是 `rasters/` 中文件的摘要，`inputs.plots.sha256` 是 `plots/` 中样地文件的摘要，
   `inputs.parcels[].geometry_sha256` 是 `outlines/` 中 WKB 文件的摘要，`inputs.parameter_tables` 是
   `method/tables/` 中各表规范 JSON 的摘要，`inputs.method_sha256` 是 `method/method.json` 的摘要。
4. 按 `method/METHOD.md` 逐步计算，用任何软件都行；每一步的中间结果都写在 `record.json` 里，可逐项比较。
5. `log/`（若有）：`entry` 是日志条目，`proof.tlog-proof` 证明它在公开日志里；其中 `commitments.record`
   等于 HMAC-SHA-256（密钥为 `opening.json` 的 `key`），内容是规范 JSON `{{"record": <record.json 的文本>}}`。
   日志公钥请从别处取得，不要只信这里的 `log.vkey`。

`stac/` 说明每个栅格的来源、许可与误差（STAC）；`bundle.json` 列出所有文件及未附的文件。

用我们的软件：`tanhui recompute 这个文件.zip`。
`outlines.geojson` 含地块界线，请按个人信息保护要求保管。

## How to check without our software (English)

1. `sha256sum -c SHA256SUMS`: the files are those that were packed.
2. `record.json` is the run's record (canonical JSON: keys in order, no spaces, no floats; decimals are
   texts).
   The SHA-256 of the canonical JSON of its `inputs` is its `inputs_sha256`.
3. `inputs.rasters[].sha256` are digests of files in `rasters/`, `inputs.plots.sha256` of the file in
   `plots/`,
   `inputs.parcels[].geometry_sha256` of WKB files in `outlines/`, `inputs.parameter_tables` of the
   canonical
   JSON of the tables in `method/tables/`, `inputs.method_sha256` of `method/method.json`.
4. Compute as `method/METHOD.md` says, with any software. `record.json` holds what comes out of every
   step, so
   each can be compared.
5. `log/`, where there is one: `entry` is the log's entry, `proof.tlog-proof` (c2sp.org/tlog-proof) shows
   that it is
   in the public log. Its `commitments.record` is HMAC-SHA-256 under the `key` of `opening.json` over the
   canonical JSON `{{"record": <the text of record.json>}}`. Take the log's key from elsewhere too; a log
   does not vouch for its own key.

`stac/` says of each raster where it is from, its licence and its error (STAC); `bundle.json` lists every
file, and those that are not here.

With our software: `tanhui recompute this-file.zip`. With other software: `docs/recompute.md` of its sources
names a program of one file that was written from the equations alone.
`outlines.geojson` holds outlines of people's land: keep it as the law on personal data asks.
"""

_LEFT_OUT: Final = """
## 未附的文件 / Files that are not here

{lines}
"""

_METHOD: Final = """\
# {method}

Equations and sources: see `source` and `mark` of every row in `tables/` (S sure, P probable, A assumed).
All
sums are in IEEE double precision; decimals in the record read back to the same double.

## 1. Ground

1. Outlines are in EPSG:4490, longitude and latitude, in `../outlines/`. Project each to the rasters'
   coordinate system (edges longer than the system's bend allows are cut first; for parcels of a few hundred
   metres this moves nothing that counts).
2. For each raster cell, share = area of (outline and cell) / area of the cell, exactly, in the plane of
   the raster.
3. Ground of a cell under a parcel: metres: share * dx * dy * (ground area / plane area of the parcel).
   Degrees:
   share * area of the cell on the ellipsoid (row by row, E-A2), scaled so that a parcel wholly on the
   raster adds up to its own area. Ground area of a parcel = `area_cm2` of the record: its geodesic area on
   the ellipsoid of EPSG:4490 (a = 6378137 m, 1/f = 298.257222101).
4. Eligible is the ground that both land covers call forest ({forest}); a raster of kind `eligible_share`
   says the
   share itself, and of two the smaller holds. eligible_cm2 = round(credited_cm2 * eligible ground / area),
   at most credited_cm2.
5. Ground without values is left out, never filled. At least min_valid_area_share of each parcel's
   eligible ground
   must have values at both dates.

## 2. Rasters: a screening number (E-R1, E-R2)

agb of a parcel = sum of ground_ha * density_t_ha over its eligible cells with values. Change of all
parcels: weight of
a cell = sum over parcels of ground_ha * (credited_cm2 / area_cm2) * (1 + root_shoot) * carbon_fraction; T
= sum
weight * (end - start); s = sqrt(sd1^2 + sd2^2 - 2 rho_time sd1 sd2); SE^2 = (1 - rho_space) sum (weight
s)^2 +
rho_space (sum weight s)^2; U = z_value * SE / |T| * 100. Correlations: those of the rasters' error
models where both densities state one (the larger in space, the smaller in time), else the settings'.

## 3. Plots: what is proven ({biomass}, E-U1)

{equation}

Only plots whose coordinates lie on a parcel of the run count; those elsewhere are named in
`evidence.plots_outside`.
For each plot the change between its two measurements, tC/ha. Strata are stand types, their areas the
eligible ground of
the run's parcels: w_h = A_h / A, mean = sum w_h mean_h, SE^2 = sum w_h^2 sd_h^2 / n_h, degrees of freedom
= sum
n_h - number of strata, t = two-sided Student quantile at `reliability`, U = t * SE / |mean| * 100.
{estimator}
Change in tCO2e = mean * A * 44/12 * scale, scale = min(1, days of the period / the longest span between two
measurements of a plot): nothing is extrapolated.

## 4. The chain (E-U2, E-C1), line by line as `chain` in the record

Deduction for uncertainty: the steps of rule `{rule}` in `tables/deduction_rules.json`; above the last
step nothing is
issued. project_adjusted = change * (1 - rate), of a loss change * (1 + rate). baseline = max(change, 0) *
baseline share of the programme. net = project_adjusted - baseline - project emissions - leakage. Withheld
= max(net, 0) *
risk share; in mode `deduct` it is taken off here, in mode `buffer` out of the units at issuance.
Kilograms =
floor(1000 * what is left), at least 0.

## 5. Parcels

The kilograms are shared by largest remainder over whole weights: max(round(mean of the parcel's stratum *
eligible_ha * 10^6), 0); equal remainders go to the earlier parcel. Where all weights are 0 eligible_cm2
are the weights.
"""

_EFFECTIVE: Final = (
    "The error is the root of their sum V1 + V2 + ...; degrees of freedom = the whole part of (sum V)^2 / "
    "sum (V^2 / (n - 1)), at most plots - strata - 1."
)
_ESTIMATORS: Final[Mapping[str, str]] = {
    "stratified": "",
    "combined_ratio": (
        "The raster helps (combined ratio, Cochran 1977, 6.11): mean = (plots' mean / raster mean at "
        "the plots) * raster "
        "mean everywhere, scatter of the plots around that line, one degree of freedom less."
    ),
    "combined_regression": (
        "The raster helps (combined regression, Cochran 1977, 7.10): mean = plots' mean + slope * "
        "(raster mean "
        "everywhere - raster mean at the plots), scatter around that line, one degree of freedom less."
    ),
    "weighted_ratio": (
        "The raster helps (combined ratio, Cochran 1977, 6.11): mean = (plots' mean / raster mean at "
        "the plots) * raster mean everywhere. Variance of a stratum: (raster mean everywhere / raster mean "
        "at the plots)^2 * W^2 / (n (n - 1)) * scatter of the plots around that line through the stratum's "
        "means. " + _EFFECTIVE
    ),
    "weighted_regression": (
        "The raster helps (combined regression, Cochran 1977, 7.10): mean = plots' mean + slope * D, D = "
        "raster mean everywhere - raster mean at the plots. With d the raster at a plot less its stratum's "
        "mean, w = W^2 / (n (n - 1)), S = sum over all plots of w d^2, and e the rest about the line: "
        "variance of a stratum = (n - 1)/n * sum of ((W/n + D w d / S) * e / (1 - 1/n - w d^2 / S))^2. "
        + _EFFECTIVE
    ),
}


def readme(run: str, record: RunRecord, left_out: Sequence[Mapping[str, str | None]]) -> str:
    """How to check the bundle of a run, in Chinese and English."""
    inputs = record.inputs
    text = _README.format(
        run=run,
        estimate_kg=f"{record.estimate_kg:,}",
        tier=record.tier,
        method=inputs.method,
        from_on=inputs.from_on,
        to_on=inputs.to_on,
    )
    if not left_out:
        return text
    lines = [
        f"* `{one['name']}` sha256 {one['sha256']}; licence {one['licence'] or '?'}; {one['where'] or '?'}"
        for one in left_out
    ]
    return text + _LEFT_OUT.format(lines="\n".join(lines))


def forest_said(cover: RasterInput) -> str:
    """What of a land cover is forest: its classes (version 1 named the product alone), or its shares."""
    if cover.kind == "eligible_share":
        return f"{cover.name}: its own shares"
    classes = cover.forest_classes or FOREST_CLASSES[cover.product]
    return f"{cover.name}: {cover.product} classes {', '.join(map(str, classes))}"


def method_text(record: RunRecord, method: Mapping[str, Any]) -> str:
    """The method of a record in words and formulas; `method` is what `method_sha256` is the digest of."""
    covers = [raster for raster in record.inputs.rasters if raster.name.startswith("land_cover")]
    forest = "; ".join(map(forest_said, covers))
    biomass, estimator = str(method.get("biomass")), str(method.get("estimator"))
    return _METHOD.format(
        method=record.inputs.method,
        forest=forest,
        biomass=biomass,
        equation=_EQUATIONS.get(biomass, biomass),
        estimator=_ESTIMATORS.get(estimator, estimator),
        rule=method.get("deduction_rule"),
    )
