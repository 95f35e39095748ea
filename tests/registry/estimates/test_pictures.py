"""Pictures are the same bytes every time, in both languages, and show what they are given."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from registry.estimates.reports.drawing import (
    PlotPoint,
    StratumMean,
    calibration_picture,
    changes_picture,
    draws_picture,
    strata_picture,
)
from registry.language import Language

OPINION = {
    "histogram_counts": [1, 4, 9, 4, 2],
    "histogram_tco2e": {"from": "800", "to": "1200"},
    "change_quantiles_tco2e": {"0.05": "850", "0.5": "1000", "0.95": "1150"},
}
POINTS = [
    PlotPoint("P1", "杉木", 10.0, False, 20.0),
    PlotPoint("P2", "杉木", 25.0, True, 28.0),
    PlotPoint("P3", "杉木", 25.2, True, 29.0),
    PlotPoint("P4", "马尾松 $x$", 12.0, False, 21.0),
]
ALL = StratumMean("全部", 20, 9.0, 1.0)


def draws(language: Language) -> str:
    return draws_picture(OPINION, formula_tco2e=1000.0, half_width_tco2e=140.0, language=language)


def strata(language: Language) -> str:
    return strata_picture([StratumMean("杉木", 8, 9.5, 2.0)], overall=ALL, language=language)


def changes(language: Language) -> str:
    return changes_picture(POINTS, language=language)


def calibration(language: Language) -> str:
    return calibration_picture(
        POINTS, slope=0.5, through=(0.0, 0.0), raster_mean_t_ha=35.0, language=language
    )


PICTURES = (draws, strata, changes, calibration)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_svg_of_the_same_bytes_every_time(picture: Callable[[Language], str]) -> None:
    first = picture(Language.CHINESE)
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert picture(Language.CHINESE) == first
    assert "dc:date" not in first
    assert "<text" not in first  # outlines: no font has to be there


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_speaks_the_readers_language(picture: Callable[[Language], str]) -> None:
    chinese, english = picture(Language.CHINESE), picture(Language.ENGLISH)
    title = re.compile("<dc:title>(.*?)</dc:title>")
    said = [found[1] for found in map(title.search, (chinese, english)) if found]
    assert len(said) == 2
    assert re.search("[\u4e00-\u9fff]", said[0])
    assert said[1].isascii()


def test_another_process_draws_the_same_bytes() -> None:
    program = (
        "import hashlib, sys; sys.path.insert(0, '.')\n"
        "from registry.language import Language\n"
        "from tests.registry.estimates.test_pictures import draws\n"
        "print(hashlib.sha256(draws(Language.CHINESE).encode()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
    assert said.stdout.strip() == hashlib.sha256(draws(Language.CHINESE).encode()).hexdigest()


def test_a_plot_that_stands_out_is_named_and_one_that_does_not_is_not() -> None:
    quiet = [PlotPoint(one.plot_id, one.stratum, one.change_tc_ha) for one in POINTS]
    assert len(changes(Language.ENGLISH)) > len(changes_picture(quiet, language=Language.ENGLISH))


def test_every_plot_lies_within_the_picture_though_others_stand_out() -> None:
    low = [PlotPoint(f"L{n}", "阔叶混", -30.0 - n, n == 3) for n in range(4)]
    picture = changes_picture([*POINTS, *low], language=Language.ENGLISH)
    places = [float(y) for y in re.findall(r'<use [^>]*y="([0-9.-]+)"', picture)]
    assert len(places) > 8
    assert 0 < min(places) < max(places) < 288
