"""Words of a report for what the records have codes for, Chinese and English side by side.

What the catalogue has words for already (stand types, states) comes from there.
"""

from collections.abc import Mapping
from typing import Final

from registry.estimates.reports.blocks import Speaker, Tone
from registry.estimates.reports.facts import Standing
from registry.language import Language, translate, translations

Pair = tuple[str, str]

STAMPS: Final[Mapping[Standing, tuple[Pair, Pair, Tone]]] = {
    Standing.SCREENING: (
        ("筛查 · 不得签发", "SCREENING · NOT FOR ISSUANCE"),
        (
            "本估算只依据遥感栅格，未用样地证明。按方法学，筛查结果只供参考，不能核查，不能签发。",
            "This estimate rests on rasters alone; no plots prove it. It is to look at, and never issued.",
        ),
        "bad",
    ),
    Standing.EX_ANTE: (
        ("事前预测 · 不得签发", "EX ANTE FORECAST · NOT FOR ISSUANCE"),
        (
            "本数值是生长曲线的预测，不是测量结果，不能签发。",
            "This figure is a forecast by growth curves, not a measurement; it cannot be issued.",
        ),
        "bad",
    ),
    Standing.TOO_UNCERTAIN: (
        ("不确定性过大 · 不得签发", "TOO UNCERTAIN · NOT FOR ISSUANCE"),
        (
            "样地证明的变化量过于不确定，本期没有可签发量。需要更多样地。",
            "What the plots prove is too uncertain: nothing of it may be issued. More plots are needed.",
        ),
        "bad",
    ),
    Standing.PROVEN: (
        ("样地实测 · 尚未核查 · 不得签发", "MEASURED BY PLOTS · NOT VERIFIED · NOT FOR ISSUANCE"),
        (
            "本估算由样地证明，但还没有核查机构签署。签署之前不得签发。",
            "Plots prove this estimate, but no verifier has signed it. Nothing is issued before that.",
        ),
        "warn",
    ),
    Standing.VERIFIED: (
        ("已核查", "VERIFIED"),
        (
            "核查机构已对本次估算签署其认定的数量。可签发的是签署的数量，不是估算量。",
            "A verifier has signed a quantity for this estimate; that one may be issued, not the estimate.",
        ),
        "good",
    ),
    Standing.SUPERSEDED: (
        ("已被取代 · 不得签发", "SUPERSEDED · NOT FOR ISSUANCE"),
        (
            "同一监测期已有新的估算取代本次估算。",
            "A later estimate of the same monitoring period has taken the place of this one.",
        ),
        "bad",
    ),
}

RASTERS: Final[Mapping[str, Pair]] = {
    "agb_start": ("期初地上生物量", "above-ground biomass, start"),
    "agb_start_sd": ("期初生物量标准差", "its standard deviation, start"),
    "agb_end": ("期末地上生物量", "above-ground biomass, end"),
    "agb_end_sd": ("期末生物量标准差", "its standard deviation, end"),
    "land_cover_start": ("期初土地覆盖", "land cover, start"),
    "land_cover_end": ("期末土地覆盖", "land cover, end"),
}

UNITS: Final[Mapping[str, Pair]] = {
    "class": ("类别号", "class number"),
    "share": ("比例", "share"),
    "plots": ("个样地", "plots"),
    "days": ("天", "days"),
    "correlation": ("相关系数", "correlation"),
    "standard deviations": ("倍标准差", "standard deviations"),
    "ha": ("公顷", "ha"),
    "cm": ("厘米", "cm"),
    "kg": ("kg", "kg"),
    "du": ("度", "du"),
    "tC/ha": ("tC/公顷", "tC/ha"),
    "du of two years": ("度（两年一度）", "du of two years"),
    "exponent of D in cm": ("胸径（厘米）的指数", "exponent of D in cm"),
    "coefficient of du": ("龄级系数", "coefficient of du"),
    "exponent of the age term": ("年龄项的指数", "exponent of the age term"),
    "1": ("无量纲", "dimensionless"),
    "tCO2e/ha/year": ("tCO2e/公顷/年", "tCO2e/ha/year"),
    "m3/ha": ("m³/公顷", "m³/ha"),
    "t/ha": ("t/公顷", "t/ha"),
    "tC/t": ("tC/t", "tC/t"),
    "t/m³": ("t/m³", "t/m³"),
}

ERROR_MODELS: Final[Mapping[str, Pair]] = {
    "none": ("产品未给出误差", "the product states none"),
    "per_pixel": ("逐像元标准差栅格", "a raster of standard deviations, pixel by pixel"),
    "relative_ppm": ("相对误差", "relative"),
    "relative": ("相对误差", "relative"),
    "absolute": ("绝对误差", "absolute"),
}

ERROR_FIELDS: Final[Mapping[str, Pair]] = {
    "sd_sha256": ("标准差栅格", "raster of deviations"),
    "sd": ("标准差栅格", "raster of deviations"),
    "relative_ppm": ("取值", "value"),
    "absolute": ("取值", "value"),
    "ppm": ("取值", "value"),
    "kg_ha": ("取值（kg/公顷）", "value (kg/ha)"),
    "rho_space_ppm": ("空间相关", "correlation in space"),
    "rho_time_ppm": ("时间相关", "correlation in time"),
}

MEASUREMENTS: Final[Mapping[str, Pair]] = {
    "volume": ("林分蓄积（两次调查）", "stand volume, measured twice"),
    "culms": ("立竹按径级与度调查（两次）", "culms by diameter and age, counted twice"),
    "trees": ("每木检尺（两次调查）", "single trees, measured twice"),
}

LAND_CLASSES: Final[Mapping[tuple[str, int], Pair]] = {
    ("CLCD", 2): ("森林", "forest"),
    ("ESA-WorldCover", 10): ("乔木覆盖", "tree cover"),
    ("ESA-WorldCover", 95): ("红树林", "mangroves"),
}

BIOMASS: Final[Mapping[str, Pair]] = {
    "E-F1": ("蓄积法（生物量扩展因子）", "stand volume and expansion factors"),
    "E-F2": ("线性生物量—蓄积方程", "linear equation of biomass and volume"),
    "E-F3": ("单木异速生长方程", "allometry of single trees"),
    "E-F6": ("毛竹立竹方程", "culms of Moso bamboo by diameter and age"),
}

BIOMASS_EQUATIONS: Final[Mapping[str, str]] = {
    "E-F1": "C = V × D × BEF × (1 + R) × CF",
    "E-F2": "C = (a × V + b) × CF",
    "E-F6": "M = a × D^b × (p × du / (q + du))^c + d;  C = Σ M × (1 + R) × CF",
    "E-F3": "AGB = Σ 0.3 × ρ × DBH^(7/3);  C = AGB × (1 + R) × CF",
}

ESTIMATORS: Final[Mapping[str, Pair]] = {
    "stratified": ("分层均值（仅样地）", "stratified mean, plots alone"),
    "combined_ratio": ("联合比率估计（样地校准栅格）", "combined ratio: rasters calibrated by plots"),
    "combined_regression": (
        "联合回归估计（样地校准栅格）",
        "combined regression: rasters calibrated by plots",
    ),
    "weighted_ratio": (
        "联合比率估计（样地校准栅格，g 权误差）",
        "combined ratio: rasters calibrated by plots, errors by g-weights",
    ),
    "weighted_regression": (
        "联合回归估计（样地校准栅格，g 权误差）",
        "combined regression: rasters calibrated by plots, errors by g-weights",
    ),
}

TABLES: Final[Mapping[str, Pair]] = {
    "stand_types": ("林分类型", "stand types"),
    "linear_biomass": ("线性生物量方程", "linear biomass equations"),
    "deduction_rules": ("不确定性扣减规则", "deduction for uncertainty"),
    "estimation_rules": ("估算规则", "rules of estimation"),
    "bamboo": ("毛竹", "Moso bamboo"),
}

PARAMETERS: Final[Mapping[str, Pair]] = {
    "wood_density": ("木材基本密度 D", "basic wood density D"),
    "bef": ("生物量扩展因子 BEF", "biomass expansion factor BEF"),
    "root_shoot": ("根茎比 R", "root-to-shoot ratio R"),
    "carbon_fraction": ("含碳率 CF", "carbon fraction CF"),
    "a": ("系数 a", "coefficient a"),
    "b": ("系数 b", "coefficient b"),
    "ar_cm": ("不确定性扣减（林业方法学规则）", "deduction for uncertainty (forestry rule)"),
    "cdm_tool_14": ("不确定性折减（清洁发展机制工具十四）", "discount for uncertainty (CDM tool 14)"),
    "reliability": ("可靠性水平", "level of reliability"),
    "min_plot_area_ha": ("样地最小面积", "smallest plot"),
    "max_plot_area_ha": ("样地最大面积", "largest plot"),
    "max_volume_m3_ha": ("蓄积上限（查错）", "largest volume (against mistakes)"),
    "min_dbh_cm": ("起测胸径", "least diameter"),
    "max_dbh_cm": ("胸径上限（查错）", "largest diameter (against mistakes)"),
    "second_verifier_above_tco2e_ha_year": ("需第二家核查机构的强度", "rate that needs a second verifier"),
    "refuse_above_tco2e_ha_year": ("拒绝的强度", "rate that is refused"),
    "culm_a": ("立竹方程系数 a", "culm equation, a"),
    "culm_b": ("立竹方程系数 b", "culm equation, b"),
    "culm_c": ("立竹方程系数 c", "culm equation, c"),
    "culm_d": ("立竹方程系数 d", "culm equation, d"),
    "culm_p": ("立竹方程系数 p", "culm equation, p"),
    "culm_q": ("立竹方程系数 q", "culm equation, q"),
    "max_du": ("最大龄级（度）", "largest age class (du)"),
    "c_stable_tc_ha": ("饱和碳密度", "carbon density at saturation"),
    "min_plots_per_stratum": ("每层最少样地数", "least plots in a stratum"),
    "max_plot_date_offset_days": ("样地调查日期最大偏差", "largest offset of a plot's date"),
    "min_linear_volume_m3_ha": ("线性方程适用的最低蓄积", "least volume for the linear equation"),
    "min_valid_area_share": ("栅格有效面积最低比例", "least share of land with raster data"),
    "rho_space": ("栅格误差的空间相关", "correlation of raster errors in space"),
    "rho_time": ("栅格误差的时间相关", "correlation of raster errors in time"),
    "z_value": ("正态分位数 z", "normal quantile z"),
    "buffer_ppm": ("缓冲比例", "buffer share"),
    "withheld_ppm": ("扣留比例", "share withheld"),
    "baseline_ppm": ("基线比例", "baseline share"),
    "plausible_kg_ha_year": ("合理性上限", "bound of plausibility"),
    "refused_kg_ha_year": ("拒绝上限", "bound of refusal"),
    "risk_mode": ("非持久性处理方式", "mode against reversal"),
}

SOURCES: Final[Mapping[str, str]] = {
    "Li Y. et al. 2016, doi 10.17521/cjpe.2015.0193, tables 3 to 5": (
        "李等 2016，《植物生态学报》，doi 10.17521/cjpe.2015.0193，表 3 至表 5"
    ),
    "China national GHG inventory 2005, annex of AR-CM-001-V01 (recollected)": (
        "中国 2005 年国家温室气体清单，《碳汇造林项目方法学》附录（凭记忆录入，未核对原文）"
    ),
    "AR-CM-001 to 005, deduction by uncertainty (recollected); inclusive bounds assumed": (
        "林业碳汇项目方法学 001 至 005 的不确定性扣减（凭记忆录入）；上限是否含端点为假定"
    ),
    "CDM AR-TOOL14, discount of the uncertainty (recollected)": (
        "清洁发展机制造林再造林工具十四的不确定性折减（凭记忆录入）"
    ),
    "AR-CM-001: 90 % precision at 90 % reliability": "《碳汇造林项目方法学》：90 % 可靠性下精度 90 %",
    "E-F2: below this the intercept would create carbon": "公式 E-F2：低于此值时截距会凭空产生碳",
    "plots are measured near the ends of the monitoring period": "样地应在监测期首尾附近调查",
    "E-R2: independent epochs unless proven": "公式 E-R2：除非证明，两期视为独立",
    "90 % two-sided": "双侧 90 %",
    "terms of the programme": "方案条款",
    "above any stand of the region: a unit mistake": "高于本地区任何林分：单位有误",
    "above any tree of the region: a unit mistake": "高于本地区任何林木：单位有误",
    "largest permanent plot accepted": "可接受的最大固定样地",
    "smallest permanent plot accepted": "可接受的最小固定样地",
    "national inventory: trees from 5 cm": "国家森林清查：起测胸径 5 厘米",
    "Li et al. 2016, Chinese Journal of Plant Ecology, doi 10.17521/cjpe.2015.0193, table 1": (
        "李等 2016，《植物生态学报》，doi 10.17521/cjpe.2015.0193，表一"
    ),
    "Li et al. 2016, Chinese Journal of Plant Ecology, doi 10.17521/cjpe.2015.0193, table 1, by analogy": (
        "李等 2016，《植物生态学报》，doi 10.17521/cjpe.2015.0193，表一，类比采用"
    ),
    "E-F6: 4 du are the seventh and eighth year": "公式 E-F6：四度竹为第七、八年",
    "E-F6: not to be used above": "公式 E-F6：高于此值不适用",
    "E-F6: not to be used below": "公式 E-F6：低于此值不适用",
    "Zhou Guomo 2006 (recollected)": "周国模 2006（凭记忆录入）",
    "Zhou Guomo 2006, Moso bamboo of Zhejiang: M = a D^b (p du / (q + du))^c + d (recollected)": (
        "周国模 2006，浙江毛竹：M = a D^b (p du / (q + du))^c + d（凭记忆录入）"
    ),
    "between the mean of Zhejiang (23.78, Li et al. 2016) and a managed stand (40.45, Zhang et al. 2014)": (
        "介于浙江均值（23.78，李等 2016）与一处经营竹林（40.45，张等 2014）之间"
    ),
    "crediting: set near the highest of 0.139, 0.130 and 0.196 measured with pits of 0.5 m at Taojiang, "
    "Cao F. et al. 2017, doi 10.5846/stxb201509301992": (
        "计入用值：接近桃江 0.5 米坑实测 0.139、0.130、0.196 中的最高者，"
        "曹等 2017，doi 10.5846/stxb201509301992"
    ),
    "organs measured at 0.466 to 0.483, Cao F. et al. 2017, doi 10.5846/stxb201509301992": (
        "各器官实测 0.466 至 0.483，曹等 2017，doi 10.5846/stxb201509301992"
    ),
}
"""What the parameter tables say as their sources, in Chinese; short ones are names of equations."""

CHECKS: Final[Mapping[str, Pair]] = {
    "shares": (
        "各地块份额之和等于估算量（kg）",
        "The shares of the parcels add up to the estimate (kg)",
    ),
    "net": (
        "调整后变化量减基线、排放和泄漏等于净减排量（tCO2e）",
        "The adjusted change less baseline, emissions and leakage is the net removal (tCO2e)",
    ),
    "issuable": ("计算链末行等于估算量（kg）", "The last line of the chain is the estimate (kg)"),
    "strata_area": (
        "各层面积之和等于计算所用面积（公顷）",
        "The areas of the strata add up to the area computed with (ha)",
    ),
}

OPINION_CHECKS: Final[Mapping[str, Pair]] = {
    "mean_tc_ha": ("平均变化量（tC/公顷）", "mean change (tC/ha)"),
    "se_tc_ha": ("标准误（tC/公顷）", "standard error (tC/ha)"),
    "half_width_tc_ha": ("区间半宽（tC/公顷）", "half width of the interval (tC/ha)"),
    "issued_kg": ("可签发量（kg CO2e）", "issuable (kg CO2e)"),
    "mean_tc": ("变化量（tC）", "change (tC)"),
    "se_tc": ("标准误（tC）", "standard error (tC)"),
    "half_width_tc": ("区间半宽（tC）", "half width of the interval (tC)"),
}

FINDINGS: Final[Mapping[str, Pair]] = {
    "plot_duplicated": ("样地编号重复", "the plot is there more than once"),
    "plots_same_place": ("与另一样地位置重合", "it lies where another plot lies"),
    "plots_too_few": ("样地太少", "too few plots"),
    "plot_outside_strata": ("所属层没有土地", "its stratum has no land here"),
    "plot_outside_period": ("调查日期离监测期首尾太远", "measured too far from the ends of the period"),
    "plot_unplaced": ("没有坐标", "without coordinates"),
    "plot_area_unusual": ("样地面积少见", "an unusual area"),
    "plot_without_stems": ("没有活立木", "without a living stem"),
    "stem_density_unusual": ("株数密度少见", "an unusual number of stems"),
    "trees_too_thin": ("含起测胸径以下的林木", "trees below the least diameter"),
    "tree_shape_unusual": ("树高与胸径不相称", "height and diameter do not go together"),
    "tree_appeared": ("新出现的大树", "a big tree that was not there before"),
    "trees_gone": ("林木消失", "trees are gone"),
    "tree_shrank": ("胸径变小", "a tree has shrunk"),
    "tree_grew_too_fast": ("胸径增长过快", "a tree grew too fast"),
    "tree_changed_species": ("树种前后不同", "a tree has become another species"),
    "plot_not_computed": ("无法计算", "it cannot be computed"),
    "growth_implausible": ("生长量不合理", "an implausible growth"),
    "plot_lost_carbon": ("碳储量减少", "it has lost carbon"),
    "plot_off_design": ("偏离设计位置", "it stands away from its designed place"),
    "plot_of_other_stratum": ("与设计的层不同", "of another stratum than designed"),
    "plot_not_designed": ("不在设计之中", "not in the design"),
    "plot_of_design_missing": ("设计中有、文件中没有", "in the design, but not in the file"),
    "plot_stands_out": ("与同层样地相差悬殊", "it stands out from the plots of its stratum"),
}
"""What the checks of plots can find (`registry.estimates.methods.plot_checks`)."""

LEVELS: Final[Mapping[str, Pair]] = {
    "error": ("错误", "error"),
    "warning": ("提示", "warning"),
    "outlier": ("离群", "outlier"),
}

STAND_TYPES: Final[Mapping[str, str]] = {
    "masson_pine": "Masson pine",
    "chinese_fir": "Chinese fir",
    "conifer_mixed": "mixed conifers",
    "broadleaf_mixed": "mixed broadleaf",
    "conifer_broadleaf_mixed": "mixed conifer and broadleaf",
    "moso_bamboo": "Moso bamboo",
}
"""English names that are not the code with spaces."""

SOFTWARE: Final[Mapping[str, str]] = {
    "gdal": "GDAL",
    "geos": "GEOS",
    "numpy": "NumPy",
    "proj": "PROJ",
    "python": "Python",
    "shapely": "Shapely",
}


def word(say: Speaker, table: Mapping[str, Pair], code: str) -> str:
    """The words of a code; the code itself where the table has none."""
    pair = table.get(code)
    return code if pair is None else say(*pair)


def stand_type(say: Speaker, code: str) -> str:
    if say.language is Language.ENGLISH:
        return STAND_TYPES.get(code) or code.replace("_", " ")
    return translations(say.language).pgettext("stand type", code)


def state(say: Speaker, code: str) -> str:
    text = translations(say.language).pgettext("state", code)
    return text.replace("_", " ")


def source(say: Speaker, text: str) -> str:
    """Where a parameter comes from, in the reader's language as far as it is known there."""
    if not say.chinese:
        return text
    return SOURCES.get(text) or translate(text, say.language)
