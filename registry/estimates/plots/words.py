"""What is said of plot files: every fault and finding in words, in both languages, with what to do."""

from collections.abc import Mapping
from typing import Final

from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.methods.plot_checks import Finding
from registry.language import Language, filled, translate

FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "missing_column": (
        "The column {field} is missing.",
        "Add the column; docs/operating.md lists the headings that are known.",
    ),
    "duplicated_column": (
        "Two columns mean {field}: {value}.",
        "Keep one of the two, or give the other a heading of its own.",
    ),
    "wrong_unit": (
        "The heading {value} has a unit that is not read.",
        "Write hectares or square metres for areas, cm for diameters, m for heights, m3/ha for volumes.",
    ),
    "unit_missing": (
        "The heading {value} does not say its unit.",
        "Write the unit behind the name, for example 样地面积(公顷), 样地面积(平方米), 前期蓄积(m³/ha).",
    ),
    "missing_value": (
        "{field} is empty.",
        "Fill in the cell; a formula counts once a spreadsheet program has computed and saved it.",
    ),
    "not_a_number": ("{value} is no number.", "Write a plain number with a point and without a unit."),
    "decimal_comma": (
        "{value} may be two different numbers.",
        "Write a point as decimal mark, and nothing between the thousands.",
    ),
    "not_finite": ("{value} is no finite number.", "Write the number that was measured."),
    "not_a_whole_number": ("{value} is no whole number.", "Write a whole number."),
    "out_of_range": (
        "{value} is no possible {field}.",
        "Check the figure and its unit.",
    ),
    "not_a_date": (
        "{value} is no date with year, month and day.",
        "Write the date as 2024-06-01, 2024/6/1 or 20240601.",
    ),
    "dates_not_rising": (
        "The later visit is not after the earlier one.",
        "Exchange the dates, or correct the wrong one.",
    ),
    "not_two_dates": (
        "Plot {value} was not measured on exactly two days.",
        "A change needs two visits of one day each; write one row without species for a plot without trees.",
    ),
    "unknown_stand_type": (
        "{value} is no stand type that is known.",
        "Write one of the stand types of the parameter table by its Chinese name or its code.",
    ),
    "duplicated_plot": ("Plot {value} is there twice.", "Keep one row for each plot."),
    "duplicated_tree": (
        "Tree {value} is there twice in one visit.",
        "Give each tree of a plot a number of its own.",
    ),
    "plot_described_twice": (
        "Plot {value} has other stand type, area, place or explanation than in an earlier row.",
        "Write the same in every row of a plot, or describe the plots on a sheet of their own.",
    ),
    "plot_not_described": (
        "Plot {value} is not on the sheet of plots.",
        "Add its row there, or correct its number.",
    ),
    "plot_not_measured": (
        "Plot {value} is on the sheet of plots and was not measured.",
        "Add its measurements, or take its row away.",
    ),
    "wrong_number_of_cells": (
        "The row has {value} cells, not as many as the header.",
        "Put cells that hold the separator in quotation marks.",
    ),
    "not_a_csv": ("The file is no table: {value}.", "Export it again as CSV or XLSX."),
    "empty_file": ("The file holds no plots.", "Check that the right sheet was saved."),
    "not_text": (
        "The file is neither text nor a workbook.",
        "Save it as CSV (UTF-8 or GB 18030), XLSX, XLS or ODS.",
    ),
    "file_too_large": (
        "The file has {value} bytes; 20 MB are allowed.",
        "Split the file, for example by county.",
    ),
    "workbook_archive_refused": (
        "The workbook cannot be opened: {value}",
        "Save it again without a password.",
    ),
    "workbook_file_unreadable": (
        "The workbook cannot be read: {value}",
        "Save the plots alone in a workbook of their own.",
    ),
    "workbook_reader_stopped": (
        "Reading the workbook took too much memory or time: {value}",
        "Delete empty rows and columns behind the table, or save it as CSV.",
    ),
}
"""Of every fault's code: what it means, and what to do."""

FINDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "plot_duplicated": ("Plot {plot} is there {value} times.", "Keep one of them."),
    "plots_same_place": (
        "Plot {plot} lies {value} away; {limit} is expected.",
        "Correct the coordinates, or take the plot away that was entered twice.",
    ),
    "plots_too_few": (
        "The stratum has too few plots: {value}; {limit} is needed.",
        "Measure more plots there, or join strata before the project is registered.",
    ),
    "plot_outside_strata": (
        "Plot {plot} belongs to {value}, of which the project has no land ({limit}).",
        "Correct the stand type, or leave the plot to the project it stands in.",
    ),
    "plot_outside_period": (
        "Plot {plot} was measured on {value}; {limit} is expected.",
        "Measure near the ends of the monitoring period, or correct the date.",
    ),
    "plot_unplaced": ("Plot {plot} has no coordinates.", "Take them from the hand-held receiver."),
    "plot_outside_project": (
        "Plot {plot} stands on no parcel of the project ({value}).",
        "Correct the coordinates; a plot elsewhere proves nothing here and is not used.",
    ),
    "plot_in_other_stratum": (
        "Plot {plot} is recorded as {value}, the parcel on which it stands as {limit}.",
        "Correct the plot's stand type or its place, or have the parcel's stand type corrected.",
    ),
    "plot_in_other_parcel": (
        "Plot {plot} names parcel {value} and stands on {limit}.",
        "Correct the number of the sub-compartment or the coordinates.",
    ),
    "plot_across_border": (
        "The circle of plot {plot} reaches {value} beyond its parcels.",
        "Check that trees across the border were not measured.",
    ),
    "plot_off_design": (
        "Plot {plot} stands {value} from where its design has it; {limit} are allowed.",
        "Correct the coordinates, or say to the verifier why the plot was moved.",
    ),
    "plot_of_other_stratum": (
        "Plot {plot} is recorded as {value}, its design has it in {limit}.",
        "Correct the plot's stand type, or say to the verifier what changed.",
    ),
    "plot_not_designed": (
        "Plot {plot} is not in the design.",
        "Say to the verifier why it was added: a plot that somebody chose is no sample.",
    ),
    "plot_of_design_missing": (
        "Plot {plot} of the design ({value}) is not in the file.",
        "Measure it, or say to the verifier why it could not be: plots left out bias the mean.",
    ),
    "plot_area_unusual": (
        "Plot {plot} has {value} ha; {limit} ha are usual.",
        "Check the area; a plot of another size is used as it is.",
    ),
    "plot_without_stems": (
        "Plot {plot} held no living stem at one visit.",
        "Check that it was visited; a felled plot stays in the sample.",
    ),
    "stem_density_unusual": (
        "Plot {plot} has {value} stems per hectare; {limit} are usual.",
        "Check the area, and that all trees were entered.",
    ),
    "trees_too_thin": (
        "Plot {plot} has {value} trees below the smallest diameter ({limit}); they are not counted.",
        "Nothing has to be done.",
    ),
    "tree_shape_unusual": (
        "A tree of plot {plot} has an unusual shape ({value}); height over diameter is {limit}.",
        "Check height and diameter and their units.",
    ),
    "tree_shrank": (
        "A tree of plot {plot} is thinner than before ({value}).",
        "Check both diameters and the tree's number.",
    ),
    "tree_grew_too_fast": (
        "A tree of plot {plot} grew more than is likely ({value}; {limit}).",
        "Check both diameters and the tree's number.",
    ),
    "tree_changed_species": (
        "A tree of plot {plot} became another species ({value}).",
        "Check the species at both visits.",
    ),
    "tree_appeared": (
        "Plot {plot} has a new tree too thick to have grown in since ({value}; {limit}).",
        "It was missed at the first visit, or its number is wrong.",
    ),
    "trees_gone": (
        "Trees of plot {plot} are gone: {value}.",
        "They died or were felled, or their numbers are wrong.",
    ),
    "plot_not_computed": (
        "The carbon of plot {plot} cannot be computed ({value}).",
        "Register the file for the measurement that it holds.",
    ),
    "growth_implausible": (
        "Plot {plot} gained {value}; {limit} is plausible.",
        "Check units, area and both measurements.",
    ),
    "plot_lost_carbon": (
        "Plot {plot} lost carbon: {value}.",
        "Check both measurements; a loss that happened stays in the sample.",
    ),
    "plot_stands_out": (
        "Plot {plot} stands out of its stratum: {value}; {limit}.",
        "Correct it, or write in the column explanation (异常说明) why it is right. It is never left out.",
    ),
}
"""Of every finding's code: what it means, and what to do."""


def explained(refusal: BadPlotFile, file: str) -> BadPlotFile:
    """The same refusal; every fault has its file, and in both languages its words and what to do."""
    listed = refusal.facts["faults"]
    assert isinstance(listed, list)
    faults = [{"file": file, **fault, **_said(fault)} for fault in listed]
    return BadPlotFile(count=len(faults), faults=faults)


def _said(fault: Mapping[str, object]) -> dict[str, str]:
    return in_both(*FAULTS[str(fault["code"])], {"value": fault["value"], "field": fault["field"]})


def in_both(meaning: str, advice: str, facts: Mapping[str, object]) -> dict[str, str]:
    """A meaning with its facts, and what to do, in Chinese (`zh`) and English (`en`)."""
    return {
        tag: f"{filled(meaning, facts, language)}{between}{translate(advice, language)}"
        for tag, language, between in (("zh", Language.CHINESE, ""), ("en", Language.ENGLISH, " "))
    }


def finding_said(finding: Finding) -> dict[str, str]:
    """What a finding means and what to do about it, in both languages."""
    return in_both(*FINDINGS[finding.code], finding.to_json())


LEVELS: Final[Mapping[str, str]] = {"error": "error", "warning": "notice", "outlier": "stands out"}
"""How bad a finding is, in words that the catalogue has."""
