"""Farms: E-S3 to E-S8."""

from typing import Annotated, Final

from registry.estimates.methods import farm
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.farm import (
    FarmAccount,
    FertiliserGas,
    FertiliserSubstitution,
    ManureMethane,
    Net,
    OrchardAccount,
    RiceGas,
    StrawGas,
)
from registry.estimates.methods.quantities import (
    CarbonChange,
    Days,
    Gas,
    GasChange,
    Hectares,
    Kilograms,
    Many,
    Mu,
    Quantity,
    Ratio,
    Share,
    Tonnes,
    Warming,
    not_negative,
)

Straw = Annotated[float, Quantity("kg/ha", low=0, high=1e5)]
EmissionFactor = Annotated[float, Quantity("kg N2O-N/kg N", low=0, high=1)]
MethaneRate = Annotated[float, Quantity("kg CH4/ha/day", low=0, high=1000)]
Manufacture = Annotated[float, Quantity("kg CO2e/kg N", low=0, high=1000)]
Heads = Annotated[float, not_negative("1")]
VolatileSolids = Annotated[float, Quantity("kg/day", low=0, high=1000)]
MethaneYield = Annotated[float, Quantity("m3/kg", low=0, high=10)]
MethaneDensity = Annotated[float, Quantity("kg/m3", above=0, high=2)]
Litres = Annotated[float, not_negative("L")]
PerLitre = Annotated[float, Quantity("kg CO2/L", low=0, high=100)]
Power = Annotated[float, not_negative("kWh")]
PerPower = Annotated[float, Quantity("kg CO2/kWh", low=0, high=100)]
TwoThresholds = Annotated[list[Ratio], Many(2, 2)]
ThreeThresholds = Annotated[list[Ratio], Many(3, 3)]


def _straw_gas(
    *,
    area_ha: Hectares,
    straw_kg_ha: Straw,
    dry_matter: Share,
    straw_n_fraction: Share,
    ef1: EmissionFactor,
    frac_leach: Share,
    ef5: EmissionFactor,
    gwp_n2o: Warming,
) -> StrawGas:
    return farm.straw_gas(
        area_ha=area_ha,
        straw_kg_ha=straw_kg_ha,
        dry_matter=dry_matter,
        straw_n_fraction=straw_n_fraction,
        ef1=ef1,
        frac_leach=frac_leach,
        ef5=ef5,
        gwp_n2o=gwp_n2o,
    )


def _fertiliser_gas(
    *,
    nitrogen_kg: Kilograms,
    ef1: EmissionFactor,
    frac_gas: Share,
    ef4: EmissionFactor,
    frac_leach: Share,
    ef5: EmissionFactor,
    gwp_n2o: Warming,
) -> FertiliserGas:
    return farm.fertiliser_gas(
        nitrogen_kg=nitrogen_kg,
        ef1=ef1,
        frac_gas=frac_gas,
        ef4=ef4,
        frac_leach=frac_leach,
        ef5=ef5,
        gwp_n2o=gwp_n2o,
    )


def _rice_gas(
    *,
    area_ha: Hectares,
    straw_kg_ha: Straw,
    dry_matter: Share,
    efc_kg_ha_day: MethaneRate,
    sf_water: Ratio,
    sf_preseason: Ratio,
    cfoa: Ratio,
    days: Days,
    gwp_ch4: Warming,
) -> RiceGas:
    return farm.rice_gas(
        area_ha=area_ha,
        straw_kg_ha=straw_kg_ha,
        dry_matter=dry_matter,
        efc_kg_ha_day=efc_kg_ha_day,
        sf_water=sf_water,
        sf_preseason=sf_preseason,
        cfoa=cfoa,
        days=days,
        gwp_ch4=gwp_ch4,
    )


def _paddy(
    *,
    area_ha: Hectares,
    straw_kg_ha: Straw,
    dry_matter: Share,
    straw_n_fraction: Share,
    ef1: EmissionFactor,
    frac_leach: Share,
    ef5: EmissionFactor,
    efc_kg_ha_day: MethaneRate,
    sf_water: Ratio,
    sf_preseason: Ratio,
    cfoa: Ratio,
    days: Days,
    gwp_ch4: Warming,
    gwp_n2o: Warming,
    soc_gain_tco2e: GasChange,
) -> tuple[StrawGas, RiceGas, Net]:
    straw = _straw_gas(
        area_ha=area_ha,
        straw_kg_ha=straw_kg_ha,
        dry_matter=dry_matter,
        straw_n_fraction=straw_n_fraction,
        ef1=ef1,
        frac_leach=frac_leach,
        ef5=ef5,
        gwp_n2o=gwp_n2o,
    )
    rice = _rice_gas(
        area_ha=area_ha,
        straw_kg_ha=straw_kg_ha,
        dry_matter=dry_matter,
        efc_kg_ha_day=efc_kg_ha_day,
        sf_water=sf_water,
        sf_preseason=sf_preseason,
        cfoa=cfoa,
        days=days,
        gwp_ch4=gwp_ch4,
    )
    return straw, rice, farm.net_of(soc_gain_tco2e, straw.n2o_tco2e, rice.ch4_tco2e)


def _manure(
    *,
    head: Heads,
    vs_kg_day: VolatileSolids,
    bo_m3_kg: MethaneYield,
    mcf_baseline: Share,
    mcf_project: Share,
    project_energy_tco2e: Gas,
    gwp_ch4: Warming,
    days: Days = 365.0,
    ch4_density_kg_m3: MethaneDensity = 0.67,
) -> ManureMethane:
    return farm.manure_methane(
        head=head,
        vs_kg_day=vs_kg_day,
        bo_m3_kg=bo_m3_kg,
        mcf_baseline=mcf_baseline,
        mcf_project=mcf_project,
        project_energy_tco2e=project_energy_tco2e,
        gwp_ch4=gwp_ch4,
        days=days,
        ch4_density_kg_m3=ch4_density_kg_m3,
    )


def _substitution(
    *,
    organic_fertiliser_t: Tonnes,
    n_fraction: Share,
    nfrv: Ratio,
    manufacture_ef_kgco2e_kgn: Manufacture,
    ef1_synthetic: EmissionFactor,
    ef1_organic: EmissionFactor,
    frac_gasf: Share,
    frac_gasm: Share,
    ef4: EmissionFactor,
    frac_leach: Share,
    ef5: EmissionFactor,
    gwp_n2o: Warming,
) -> FertiliserSubstitution:
    return farm.fertiliser_substitution(
        organic_fertiliser_t=organic_fertiliser_t,
        n_fraction=n_fraction,
        nfrv=nfrv,
        manufacture_ef_kgco2e_kgn=manufacture_ef_kgco2e_kgn,
        ef1_synthetic=ef1_synthetic,
        ef1_organic=ef1_organic,
        frac_gasf=frac_gasf,
        frac_gasm=frac_gasm,
        ef4=ef4,
        frac_leach=frac_leach,
        ef5=ef5,
        gwp_n2o=gwp_n2o,
    )


def _farm(
    *,
    straw_tco2e: GasChange,
    soil_tco2e: GasChange,
    manure_tco2e: GasChange,
    farm_emission_tco2e: Gas,
    ratio_thresholds: TwoThresholds,
) -> FarmAccount:
    return farm.farm_account(
        straw_tco2e=straw_tco2e,
        soil_tco2e=soil_tco2e,
        manure_tco2e=manure_tco2e,
        farm_emission_tco2e=farm_emission_tco2e,
        ratio_thresholds=ratio_thresholds,
    )


def _orchard(
    *,
    area_mu: Mu,
    min_area_mu: Mu,
    biomass_gain_tc_ha: CarbonChange,
    soc_gain_tc_ha: CarbonChange,
    synthetic_n_kg: Kilograms,
    ef1: EmissionFactor,
    frac_gas: Share,
    ef4: EmissionFactor,
    frac_leach: Share,
    ef5: EmissionFactor,
    manufacture_ef_kgco2e_kgn: Manufacture,
    diesel_l: Litres,
    diesel_ef_kg_l: PerLitre,
    electricity_kwh: Power,
    grid_ef_kg_kwh: PerPower,
    gwp_n2o: Warming,
    ratio_thresholds: ThreeThresholds,
) -> OrchardAccount:
    return farm.orchard_account(
        area_mu=area_mu,
        min_area_mu=min_area_mu,
        biomass_gain_tc_ha=biomass_gain_tc_ha,
        soc_gain_tc_ha=soc_gain_tc_ha,
        synthetic_n_kg=synthetic_n_kg,
        ef1=ef1,
        frac_gas=frac_gas,
        ef4=ef4,
        frac_leach=frac_leach,
        ef5=ef5,
        manufacture_ef_kgco2e_kgn=manufacture_ef_kgco2e_kgn,
        diesel_l=diesel_l,
        diesel_ef_kg_l=diesel_ef_kg_l,
        electricity_kwh=electricity_kwh,
        grid_ef_kg_kwh=grid_ef_kg_kwh,
        gwp_n2o=gwp_n2o,
        ratio_thresholds=ratio_thresholds,
    )


EQUATIONS: Final = (
    Equation(
        "E-S3",
        "秸秆氧化亚氮",
        "Nitrous oxide of straw",
        "N = A M DM N_frac; N2O = N (EF1 + FracLEACH EF5) 44/28 GWP/1000",
        "clause 4.4; IPCC 2019 vol. 4, ch. 11; dry land, where E-S6 is left out",
        (_straw_gas,),
        ("crop_residues", "nitrogen", "gwp"),
    ),
    Equation(
        "E-S3/fertiliser",
        "肥料氧化亚氮",
        "Nitrous oxide of fertiliser, also in bamboo",
        "N2O = N (EF1 + FracGAS EF4 + FracLEACH EF5) 44/28 GWP/1000",
        "clause 2.8, 4.6; IPCC 2019 vol. 4, ch. 11",
        (_fertiliser_gas,),
        ("nitrogen", "gwp"),
    ),
    Equation(
        "E-S3+E-S6",
        "稻田秸秆还田净效应",
        "Straw in paddy: soil's gain less both gases",
        "net = soc_gain - N2O - CH4",
        "clause 4.4; D9",
        (_paddy,),
        ("crop_residues", "nitrogen", "rice_methane", "gwp"),
    ),
    Equation(
        "E-S4",
        "畜禽粪污甲烷减排",
        "Methane of manure avoided",
        "CH4 = head VS days Bo 0.67 MCF; avoided = (baseline - project) GWP/1000",
        "clause 4.5; IPCC 2006 vol. 4, eq. 10.23",
        (_manure,),
        ("manure", "gwp"),
    ),
    Equation(
        "E-S5",
        "有机肥替代化肥",
        "Organic for synthetic fertiliser",
        "net = N_avoided MEF/1000 + N2O of N_avoided - N2O of N_organic",
        "clause 4.6",
        (_substitution,),
        ("farm_inputs", "nitrogen", "gwp"),
    ),
    Equation(
        "E-S6",
        "稻田秸秆甲烷",
        "Methane that straw adds to rice",
        "SFo = (1 + ROA CFOA)^0.59; CH4 = EFc SFw SFp (SFo - 1) days A",
        "clause 4.4; IPCC 2006 vol. 4, eqs. 5.2 and 5.3",
        (_rice_gas,),
        ("rice_methane", "crop_residues", "gwp"),
    ),
    Equation(
        "E-S7",
        "农业碳中和账户",
        "Farm account and its shade",
        "total = straw + soil + manure; ratio = total / emission; shade by thresholds",
        "clause 4.7; a performance account, never units",
        (_farm,),
        ("label_thresholds",),
    ),
    Equation(
        "E-S8",
        "胡柚果园碳账户",
        "Pomelo orchard account and its colour",
        "net = fixation - emission; colour by fixation/emission; reward = floor(max(net, 0))",
        "clause 4.8; a performance account, never units",
        (_orchard,),
        ("orchard", "nitrogen", "farm_inputs", "label_thresholds", "gwp"),
    ),
)
