"""The nine steps in their order."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

from registry.database import sqlite_url
from registry.demo import land, market, measure, summary
from registry.demo.cast import Cast
from registry.demo.files import Files, generated, given
from registry.demo.own import complete
from registry.demo.story import BEGINNING, ORIGIN, Say, Story
from registry.installation import Installation
from registry.settings import Home
from registry.transparency.audit import audit


def run(
    folder: Path,
    *,
    parcels: Path | None = None,
    agb: tuple[Path, Path] | None = None,
    plots: Path | None = None,
    say: Say = print,
    database_url: str | None = None,
) -> dict[str, object]:
    """Run the whole life of a credit in a new folder; answers the summary that stands in `summary.json`
    there.

    Raises what any step refuses. The folder must be new or empty: what is there stays untouched
    (`HomeTaken`).
    """
    files = given(parcels, agb, plots) if parcels or agb or plots else generated(folder / "input")
    home = Home.at(folder, database_url or sqlite_url(folder.absolute() / "tanhui.db"))
    installation = Installation.create(home, ORIGIN, simulated_at=BEGINNING)
    try:
        files, assumed = _kept(files, folder)
        story = Story(installation, files, say, Cast(installation), assumed=assumed)
        _tell(story)
        result = summary.summarise(story)
    finally:
        installation.close()
    _audit(story, home)
    (folder / "summary.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    (folder / "steps.json").write_text(json.dumps(story.seconds, indent=2) + "\n")
    return result


def _kept(files: Files, folder: Path) -> tuple[Files, tuple[str, ...]]:
    """Files of the user's own are copied into the folder and completed, so that it holds everything it
    speaks of.
    """
    if not files.own:
        return files, ()
    completed = complete(files.copied(folder / "input", shutil.copy2), folder / "input")
    return completed.files, completed.assumed


def _tell(story: Story) -> None:
    with story.step("land") as line:
        land.register_everybody(story)
        line(land.review_land(story, land.import_land(story)))
    with story.step("project") as line:
        line(land.register_projects(story))
    with story.step("estimate") as line:
        line(measure.estimate(story))
    first = story.projects[0]
    with story.step("option") as line:
        option = market.pre_purchase(story, first)
        line(option)
    with story.step("verification") as line:
        line(measure.verify(story))
    story.advance(timedelta(days=3))
    with story.step("issuance") as line:
        line(measure.issue(story))
    with story.step("market") as line:
        line(market.trade(story))
    story.advance(timedelta(days=30))
    with story.step("retirement") as line:
        line(market.retire(story, first))
    with story.step("log") as line:
        line(summary.log_line(story))


def _audit(story: Story, home: Home) -> None:
    with story.step("audit") as line:
        report = audit(home)
        if not report.passed:
            raise RuntimeError("\n".join(map(str, report.findings)))
        line(f"{len(report.made)} kinds of checks over {report.size} entries and every table: all hold")
