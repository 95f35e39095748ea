"""Reading plot files: every fault of a bad file is listed, and nothing of it is read."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.sampling import COLUMNS
from registry.estimates.methods import TreePair, VolumePair, estimate_change, read_plots, read_tree_plots
from registry.estimates.methods.errors import BadPlotFile

HEADER = "plot_id,stratum,area_ha,measured1_on,measured2_on,v1_m3_ha,v2_m3_ha,lon_deg,lat_deg,remark\n"
GOOD = "P1,chinese_fir,0.06,2019-12-03,2024-11-20,68.2,97.7,118.41,28.95,by the stream\n"


def faults(content: str | bytes, *, trees: bool = False) -> list[tuple[object, object, object]]:
    with pytest.raises(BadPlotFile) as refusal:
        (read_tree_plots if trees else read_plots)(content)
    listed = refusal.value.facts["faults"]
    assert isinstance(listed, list)
    assert refusal.value.facts["count"] == len(listed) > 0
    return [(fault["row"], fault["field"], fault["code"]) for fault in listed]


def test_a_plot_is_read_with_its_values() -> None:
    (plot,) = read_plots(HEADER + GOOD)
    assert (plot.plot_id, plot.stratum, plot.area_ha) == ("P1", "chinese_fir", 0.06)
    assert (plot.measured1_on, plot.measured2_on) == (date(2019, 12, 3), date(2024, 11, 20))
    assert plot.measurement == VolumePair(68.2, 97.7)
    assert (plot.lon_deg, plot.lat_deg) == (118.41, 28.95)


def test_the_demonstration_writes_columns_that_are_read() -> None:
    row = "P001,GT-7,masson_pine,118.41,28.95,0.06,2020-01-02,61.20,2024-12-02,88.40,"
    (plot,) = read_plots("\ufeff" + ",".join(COLUMNS) + "\r\n" + row + "\r\n")
    assert (plot.parcel_key, plot.stratum, plot.lon_deg) == ("GT-7", "masson_pine", 118.41)
    assert plot.measurement == VolumePair(61.2, 88.4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_chinese_file_is_read_in_any_of_its_encodings(encoding: str, delimiter: str) -> None:
    text = (
        "样地号,优势树种,样地面积_公顷,前期调查日期,后期调查日期,前期蓄积_立方米每公顷,后期蓄积_立方米每公顷,备注\r\n"
        "大坑一,杉木,0.06,2019/12/3,2024/11/20,68.2,97.7,溪边\r\n"
    )
    (plot,) = read_plots(text.replace(",", delimiter).encode(encoding))
    assert (plot.plot_id, plot.stratum, plot.lon_deg) == ("大坑一", "chinese_fir", None)


def test_every_fault_of_a_file_is_listed_with_its_row() -> None:
    content = (
        HEADER
        + GOOD
        + "P2,baobab,0.06,2019-12-03,2024-11-20,68.2,97.7,,,\n"
        + "P3,oak,600,2024-11-20,2019-12-03,nan,,,,\n"
        + "P1,oak,0.06,2019-02-30,2024-11-20,68 m3,-1,200,,\n"
        + "P4,oak,0.06\n"
        + ",oak,0.06,2019-12-03,2024-11-20,1_0,5000,,,\n"
    )
    assert faults(content) == [
        (3, "stratum", "unknown_stand_type"),
        (4, "area_ha", "out_of_range"),
        (4, "measured2_on", "dates_not_rising"),
        (4, "v1_m3_ha", "not_finite"),
        (4, "v2_m3_ha", "missing_value"),
        (5, "lon_deg", "out_of_range"),
        (5, "measured1_on", "not_a_date"),
        (5, "plot_id", "duplicated_plot"),
        (5, "v1_m3_ha", "not_a_number"),
        (5, "v2_m3_ha", "out_of_range"),
        (6, "", "wrong_number_of_cells"),
        (7, "plot_id", "missing_value"),
        (7, "v1_m3_ha", "not_a_number"),
        (7, "v2_m3_ha", "out_of_range"),
    ]


def test_a_column_in_another_unit_is_not_taken_for_the_right_one() -> None:
    header = HEADER.replace("area_ha", "area_mu").replace("v1_m3_ha", "v1_m3_mu")
    assert faults(header + GOOD) == [(1, "area_ha", "wrong_unit"), (1, "v1_m3_ha", "wrong_unit")]
    chinese = HEADER.replace("area_ha", "样地面积_亩")
    assert faults(chinese + GOOD) == [(1, "area_ha", "wrong_unit")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty_file"),
        (b"", "empty_file"),
        (HEADER, "empty_file"),
        ("\n\n", "empty_file"),
        (HEADER + '"P1,oak\n', "not_a_csv"),
        (HEADER.replace("v2_m3_ha", "note") + GOOD, "missing_column"),
        (HEADER.replace("lat_deg", "lon_deg") + GOOD, "duplicated_column"),
        (b"\xff\xfe\x00\x01\x81", "not_text"),
        (b"x" * 20_000_001, "file_too_large"),
    ],
)
def test_what_is_no_plot_file_is_refused(content: str | bytes, code: str) -> None:
    assert code in {fault for _, _, fault in faults(content)}


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: (HEADER + text).encode())))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        assert read_plots(content)
    except BadPlotFile as refusal:
        assert refusal.facts["faults"]


TREES = "plot_id,stratum,area_ha,measured_on,species,dbh_cm\n"


def test_trees_are_gathered_by_plot_and_date_and_a_felled_plot_stays() -> None:
    rows = ""
    for plot in ("A", "B", "C"):
        rows += f"{plot},chinese_fir,0.06,2024-11-20,,\n" if plot == "C" else ""
        rows += f"{plot},chinese_fir,0.06,2024-11-20,杉木,16.4\n" if plot != "C" else ""
        rows += f"{plot},chinese_fir,0.06,2019-12-03,chinese_fir,12.1\n"
    plots = read_tree_plots(TREES + rows)
    assert [plot.plot_id for plot in plots] == ["A", "B", "C"]
    felled = plots[2].measurement
    assert isinstance(felled, TreePair)
    assert (len(felled.trees1), felled.trees2) == (1, ())
    assert plots[0].measured1_on == date(2019, 12, 3)


def test_a_tree_plot_with_one_date_or_two_descriptions_is_refused() -> None:
    content = TREES + (
        "A,chinese_fir,0.06,2024-11-20,杉木,16.4\n"
        "A,chinese_fir,0.05,2019-11-20,杉木,12.4\n"
        "B,chinese_fir,0.06,2024-11-20,杉木,\n"
    )
    assert faults(content, trees=True) == [
        (3, "plot_id", "plot_described_twice"),
        (4, "dbh_cm", "missing_value"),
        (4, "measured_on", "not_two_dates"),
    ]
    assert faults(TREES.replace("dbh_cm", "dbh_mm") + "A\n", trees=True) == [(1, "dbh_cm", "wrong_unit")]


def test_a_file_leads_to_an_estimate() -> None:
    rows = "".join(f"P{i},chinese_fir,0.06,2019-12-03,2024-11-20,{60 + i},{88 + 2 * i}\n" for i in range(4))
    header = HEADER.replace(",lon_deg,lat_deg,remark", "")
    estimate = estimate_change(read_plots(header + rows), {"chinese_fir": 40.0})
    assert estimate.change.df == 3
    assert estimate.change.mean_delta_tc_ha == pytest.approx(29.5 * 0.307 * 1.634 * 1.246 * 0.52)
