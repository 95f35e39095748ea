"""Plot files as field crews keep them: workbooks, Chinese headings, dates in four spellings."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.estimates.methods import Biomass, bamboo, estimate_change, read_plots, read_tree_plots
from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.methods.parameters import bamboo_parameters
from registry.estimates.methods.plot_cells import date_of
from registry.estimates.methods.plot_columns import heading_of
from registry.estimates.methods.plot_files import read_culm_plots, read_plot_file
from registry.estimates.methods.plot_sheets import MAX_SHEETS, ending_of, read_sheets
from registry.estimates.methods.plots import CulmPair, MeasuredTree, TreePair, VolumePair, plot_change

VOLUMES = (
    "样地号", "优势树种", "样地面积(平方米)", "前期调查日期", "后期调查日期",
    "前期蓄积(m³/ha)", "后期蓄积(m³/ha)", "坡度",
)  # fmt: skip
SITES = ("样地号", "优势树种", "样地面积(公顷)", "经度", "纬度", "坡度", "异常说明")
TREES = ("样地号", "调查日期", "样木号", "树种", "胸径", "树高")

Rows = Sequence[Sequence[Any]]


def workbook(**sheets: Rows) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def faults(content: str | bytes, measurement: Any = "volume") -> list[tuple[object, ...]]:
    with pytest.raises(BadPlotFile) as refusal:
        read_plot_file(content, measurement)
    listed = refusal.value.facts["faults"]
    assert isinstance(listed, list)
    return [(fault.get("sheet", ""), fault["row"], fault["field"], fault["code"]) for fault in listed]


# Cells


@pytest.mark.parametrize(
    "text",
    [
        "2024-06-01", "2024/6/1", "2024.6.1", "20240601", "2024年6月1日", "45444", "2024-06-01 00:00:00",
        "2024/6/1 0:00", "２０２４－０６－０１",
    ],
)  # fmt: skip
def test_a_date_is_read_in_the_spellings_of_crews_and_programs(text: str) -> None:
    assert date_of(text) == date(2024, 6, 1)


@pytest.mark.parametrize(
    "text", ["1/6/2024", "06-01-24", "2024-13-01", "2024-06/01", "0", "45444.5", "June", ""]
)
def test_a_date_that_may_mean_two_days_or_none_is_no_date(text: str) -> None:
    assert date_of(text) is None


@given(st.dates(date(1960, 1, 1), date(2099, 12, 31)))
def test_the_serial_day_of_a_spreadsheet_program_is_the_day_it_shows(day: date) -> None:
    from openpyxl.utils.datetime import to_excel

    assert date_of(str(int(to_excel(day)))) == day
    assert date_of(f"{day:%Y%m%d}") == date_of(day.isoformat()) == day


@pytest.mark.parametrize(
    ("heading", "field", "factor"),
    [
        ("胸径", "dbh_cm", 1), ("胸径（cm）", "dbh_cm", 1), ("胸径_厘米", "dbh_cm", 1),
        (" DBH_cm ", "dbh_cm", 1),
        ("样地面积（㎡）", "area_ha", 0.0001), ("面积_公顷", "area_ha", 1), ("area_m2", "area_ha", 0.0001),
        ("前期 蓄积（m³/ha）", "v1_m3_ha", 1), ("树高(m)", "height_m", 1), ("竹龄(度)", "du", 1),
    ],
)  # fmt: skip
def test_a_heading_is_a_name_with_its_unit(heading: str, field: str, factor: float) -> None:
    found = heading_of(heading)
    assert found is not None
    assert (found.field, float(found.factor), found.fault) == (field, factor, "")


@pytest.mark.parametrize(
    ("heading", "fault"),
    [
        ("胸径(mm)", "wrong_unit"), ("样地面积_亩", "wrong_unit"), ("前期蓄积(m³/亩)", "wrong_unit"),
        ("样地面积", "unit_missing"), ("面积", "unit_missing"), ("后期蓄积", "unit_missing"),
    ],
)  # fmt: skip
def test_a_quantity_in_another_unit_or_in_none_is_no_column(heading: str, fault: str) -> None:
    found = heading_of(heading)
    assert found is not None
    assert found.fault == fault


@pytest.mark.parametrize("heading", ["坡度", "备注", "海拔(m)", "", "remark", "area of interest"])
def test_other_headings_are_remarks(heading: str) -> None:
    assert heading_of(heading) is None


def test_a_decimal_comma_is_named_and_not_guessed() -> None:
    row = "P1;杉木;600;2019-12-03;2024-11-20;68,2;97.7;12\n"
    assert faults(";".join(VOLUMES) + "\n" + row) == [("", 2, "v1_m3_ha", "decimal_comma")]


# Workbooks


def test_a_workbook_is_read_as_the_same_table_in_csv() -> None:
    rows = [
        ["P1", "杉木", 600, date(2019, 12, 3), datetime.fromisoformat("2024-11-20 00:00"), 68.2, 97.7, 12],
        ["P2", "马尾松", 600, 43802, "2024/11/20", 50, "81.5", None],
    ]
    in_csv = "\n".join(
        (
            ",".join(VOLUMES),
            "P1,杉木,600,2019-12-03,2024-11-20,68.2,97.7,12",
            "P2,马尾松,600,43802,20241120,50,81.5,",
        )
    )
    plots = read_plots(workbook(样地=[VOLUMES, *rows]))
    assert plots == read_plots(in_csv)
    assert plots[0].area_ha == 0.06
    assert plots[1].measurement == VolumePair(50.0, 81.5)
    assert plots[1].measured1_on == date(2019, 12, 3)


def test_utf_16_as_a_spreadsheet_program_writes_text_is_read() -> None:
    text = "\t".join(VOLUMES) + "\r\nP1\t杉木\t600\t2019-12-03\t2024-11-20\t68.2\t97.7\t\r\n"
    assert read_plots(text.encode("utf-16"))[0].stratum == "chinese_fir"


TREE_SHEETS: dict[str, Rows] = {
    "说明": [["开化县固定样地复测"]],
    "样地表": [
        ["固定样地一览表"],
        SITES,
        ["A", "杉木", 0.06, 118.41, 28.95, 12, None],
        ["B", "马尾松", 0.06, 118.42, 28.96, 20, "林窗，已复核"],
    ],
    "2019": [
        TREES,
        ["A", "2019/12/3", "1", "杉木", 12.1, 9.5],
        ["A", "2019/12/3", "2", "杉木", 8.4, None],
        ["B", "2019/12/4", "1", "马尾松", 15.0, 10.1],
    ],
    "2024": [
        TREES,
        ["A", "2024/11/20", "1", "杉木", 16.4, 12.0],
        ["A", "2024/11/20", "2", "杉木", 11.0, None],
        ["B", "2024/11/21", None, None, None, None],
    ],
}


def test_plots_and_trees_on_sheets_of_their_own_are_joined() -> None:
    plots = read_tree_plots(workbook(**TREE_SHEETS))
    assert [plot.plot_id for plot in plots] == ["A", "B"]
    assert (plots[0].lon_deg, plots[0].area_ha, plots[0].explanation) == (118.41, 0.06, None)
    assert plots[0].measurement == TreePair(
        (MeasuredTree("chinese_fir", 12.1, "1", 9.5), MeasuredTree("chinese_fir", 8.4, "2")),
        (MeasuredTree("chinese_fir", 16.4, "1", 12.0), MeasuredTree("chinese_fir", 11.0, "2")),
    )
    felled = plots[1].measurement
    assert isinstance(felled, TreePair)
    assert (len(felled.trees1), felled.trees2, plots[1].explanation) == (1, (), "林窗，已复核")


def test_faults_of_a_workbook_name_their_sheet_and_the_row_that_the_program_shows() -> None:
    sheets = {
        **TREE_SHEETS,
        "2024": [
            [],
            TREES,
            ["A", "2024/11/20", "1", "杉木", 16.4, 12.0],
            ["A", "2024/11/20", "1", "杉木", "粗", None],
            ["C", "2024/11/21", "1", "杉木", 9.0, None],
        ],
    }
    assert faults(workbook(**sheets), "trees") == [
        ("2019", 4, "measured_on", "not_two_dates"),
        ("2024", 4, "dbh_cm", "not_a_number"),
        ("2024", 4, "tree_id", "duplicated_tree"),
        ("2024", 5, "area_ha", "missing_value"),
        ("2024", 5, "measured_on", "not_two_dates"),
        ("2024", 5, "plot_id", "plot_not_described"),
        ("2024", 5, "stratum", "missing_value"),
    ]


def test_merged_cells_hold_their_value_in_each_of_them() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["样地号", "优势树种", "样地面积(公顷)", "调查日期", "树种", "胸径"])
    for year, dbh in ((2019, 10.0), (2019, 11.0), (2024, 12.5), (2024, 14.0)):
        sheet.append(["A", "杉木", 0.06, date(year, 12, 1), "杉木", dbh])
    for column in "ABC":
        sheet.merge_cells(f"{column}2:{column}5")
    (plot,) = read_tree_plots(saved(book))
    assert isinstance(plot.measurement, TreePair)
    assert [tree.dbh_cm for tree in plot.measurement.trees2] == [12.5, 14.0]


def test_a_formula_that_no_program_has_computed_is_a_missing_value() -> None:
    row = ["P1", "杉木", 600, date(2019, 12, 3), date(2024, 11, 20), 68.2, "=F2*1.4", 12]
    assert faults(workbook(样地=[VOLUMES, row])) == [("样地", 2, "v2_m3_ha", "missing_value")]


def test_a_plot_that_nobody_measured_and_one_described_twice_are_faults() -> None:
    sheets = {**TREE_SHEETS, "样地表": [*TREE_SHEETS["样地表"], ["D", "杉木", 0.06], ["A", "杉木", 0.06]]}
    assert faults(workbook(**sheets), "trees") == [
        ("样地表", 5, "plot_id", "plot_not_measured"),
        ("样地表", 6, "plot_id", "duplicated_plot"),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04 nothing of a zip", "workbook_archive_refused"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "workbook_file_unreadable"),
        (workbook(**{f"s{n}": [[n]] for n in range(MAX_SHEETS + 1)}), "workbook_file_unreadable"),
        (workbook(s=[[None] * 300 + ["x"]]), "missing_column"),
        (workbook(s=[["a"] * 300]), "workbook_file_unreadable"),
        (workbook(s=[]), "empty_file"),
    ],
)
def test_what_is_no_workbook_is_refused(content: bytes, code: str) -> None:
    assert next(fault for *_, fault in faults(content)) == code


def test_two_cells_in_far_corners_do_not_fill_the_memory() -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = 1, 2
    assert [code for *_, code in faults(saved(book))] == ["workbook_reader_stopped"]


def test_a_workbook_that_unpacks_into_gigabytes_is_refused() -> None:
    out = io.BytesIO(workbook(s=[[1]]))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros", bytes(40 << 20))
    assert [code for *_, code in faults(out.getvalue())] == ["workbook_archive_refused"]


def test_the_kind_of_a_file_is_told_from_its_bytes() -> None:
    assert ending_of(workbook(s=[[1]])) == ".xlsx"
    assert ending_of(b"plot_id,stratum\n") == ".csv"
    assert [name for name, _ in read_sheets(workbook(one=[[1]], two=[["x", 2.5, True]]))] == ["one", "two"]


# Bamboo


CULMS = "plot_id,stratum,area_ha,measured_on,dbh_cm,du,culms\n"


def test_culms_are_gathered_by_class_and_counted_into_carbon() -> None:
    rows = (
        "A,毛竹,0.04,2019-12-03,10,2,30\nA,毛竹,0.04,2019-12-03,8.5,1,20\nA,毛竹,0.04,2024-12-03,10,3,40\n"
        "A,毛竹,0.04,2024-12-03,4.0,1,9\n"
    )
    (plot,) = read_culm_plots(CULMS + rows)
    assert plot.stratum == "moso_bamboo"
    assert isinstance(plot.measurement, CulmPair)
    assert plot.measurement.culms1 == (bamboo.CulmClass(10.0, 2, 30), bamboo.CulmClass(8.5, 1, 20))
    change = plot_change(plot, Biomass.CULMS, bamboo_parameters())
    model = bamboo_parameters().culm_model
    first = 30 * bamboo.culm_agb_kg(10, 2, model) + 20 * bamboo.culm_agb_kg(8.5, 1, model)
    assert change.carbon1_tc_ha == pytest.approx(first / 1000 / 0.04 * 1.2 * 0.47)
    assert change.carbon2_tc_ha == pytest.approx(
        40 * bamboo.culm_agb_kg(10, 3, model) / 1000 / 0.04 * 1.2 * 0.47
    )


def test_bamboo_plots_lead_to_an_estimate_and_faulty_culms_are_named() -> None:
    rows = "".join(
        f"P{n},毛竹,0.04,2019-12-03,9,2,{30 + n}\nP{n},毛竹,0.04,2024-12-03,9,2,{40 + 2 * n}\n"
        for n in range(4)
    )
    estimate = estimate_change(
        read_culm_plots(CULMS + rows),
        {"moso_bamboo": 20.0},
        biomass=Biomass.CULMS,
        parameters=bamboo_parameters(),
    )
    assert estimate.change.df == 3
    assert estimate.change.delta_tco2e > 0
    bad = "A,毛竹,0.04,2019-12-03,10,5,3\nA,毛竹,0.04,2024-12-03,30,1.5,0\n"
    assert faults(CULMS + bad, "culms") == [
        ("", 2, "du", "out_of_range"),
        ("", 3, "culms", "out_of_range"),
        ("", 3, "dbh_cm", "out_of_range"),
        ("", 3, "du", "not_a_whole_number"),
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(5.0, 40.0).map(lambda x: round(x, 1)), st.floats(3.0, 30.0).map(lambda x: round(x, 1))
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_was_written_is_what_is_read(trees: list[tuple[float, float]]) -> None:
    lines = ["样地号,优势树种,面积(公顷),调查日期,树种,胸径,树高"]
    for year in (2019, 2024):
        lines += [f"A,杉木,0.06,{year}1201,杉木,{dbh},{height}" for dbh, height in trees]
    (plot,) = read_tree_plots("\n".join(lines).encode("gb18030"))
    assert isinstance(plot.measurement, TreePair)
    for visit in (plot.measurement.trees1, plot.measurement.trees2):
        assert [(tree.dbh_cm, tree.height_m) for tree in visit] == trees


# OpenDocument


def opendocument(rows: str) -> bytes:
    """A spreadsheet of one table, as the standard asks for it: `mimetype` first and unpacked."""
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
        for short, long in (("office", "office"), ("table", "table"), ("text", "text"))
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces} office:version="1.2">'
        f'<office:body><office:spreadsheet><table:table table:name="样地">{rows}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = (
        '<?xml version="1.0"?><manifest:manifest '
        'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content, zipfile.ZIP_DEFLATED)
        archive.writestr("META-INF/manifest.xml", manifest)
    return out.getvalue()


def cell(value: object) -> str:
    if isinstance(value, date):
        kind = f'office:value-type="date" office:date-value="{value.isoformat()}"'
    elif isinstance(value, str):
        kind = 'office:value-type="string"'
    else:
        kind = f'office:value-type="float" office:value="{value}"'
    return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"


def test_an_opendocument_spreadsheet_is_read_as_the_same_table() -> None:
    row = ["P1", "杉木", 600, date(2019, 12, 3), date(2024, 11, 20), 68.2, 97.7, 12]
    rows = "".join(f"<table:table-row>{''.join(map(cell, one))}</table:table-row>" for one in (VOLUMES, row))
    content = opendocument(rows)
    assert ending_of(content) == ".ods"
    assert read_plots(content) == read_plots(workbook(样地=[VOLUMES, row]))


def test_a_cell_that_repeats_without_end_is_refused() -> None:
    many = (
        '<table:table-row table:number-rows-repeated="1048576"><table:table-cell '
        'table:number-columns-repeated="16384" office:value-type="float" office:value="1"/></table:table-row>'
    )
    (code,) = [code for *_, code in faults(opendocument(many))]
    assert code in ("workbook_reader_stopped", "workbook_file_unreadable")


def test_an_explanation_stands_in_one_row_of_a_plot() -> None:
    head = "plot_id,stratum,area_ha,measured_on,species,dbh_cm,explanation\n"
    rows = (
        "A,杉木,0.06,2019-12-01,杉木,12,\nA,杉木,0.06,2024-12-01,杉木,30,复测无误\n"
        "A,杉木,0.06,2024-12-01,杉木,8,\n"
    )
    (plot,) = read_tree_plots(head + rows)
    assert plot.explanation == "复测无误"
    two = rows.replace("12,\n", "12,另一说明\n")
    assert [code for *_, code in faults(head + two, "trees")] == ["plot_described_twice"]
