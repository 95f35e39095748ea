"""Steps 3, 5 and 6 of the demo: what the forest took up, who puts a name under it, and the units it makes."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from registry.demo.story import Story
from registry.estimates.input_files import record_plots, record_raster, store_plots, store_raster
from registry.estimates.service import EstimatePeriod, RunRasters, load_record, load_run, prepare_run
from registry.issuance.service import ApproveIssuance, ProposeIssuance
from registry.projects.rules import civil_date
from registry.projects.service import NamePeriod, OpenPeriod
from registry.verification.service import AcceptPeriod, VerifyPeriod

DEDUCTION_SHARE = 50
"""The verifier takes a fiftieth off the estimate: its own, more careful finding."""


def estimate(story: Story) -> str:
    """A monitoring period for each project, and a run over its rasters and plots, recorded with every
    digest.
    """
    rasters, plots = _register_files(story)
    operator, installation = story.member("两山公司"), story.installation
    screened: list[int] = []
    for project in story.projects:
        opened = OpenPeriod(
            project=project.project,
            from_on=story.files.period_from.isoformat(),
            to_on=story.files.period_to.isoformat(),
        )
        project.period = str(story.cast.do(operator, "period.open", opened)["period"])
        command = EstimatePeriod(period=project.period, rasters=rasters, plots=plots)
        prepare_run(installation.database, installation.home, operator.organisation, command)
        answer = story.cast.do(operator, "period.estimate", command)
        project.run_kg = int(answer["estimate_kg"])
        project.uncertainty_ppm = int(answer["uncertainty_ppm"])
        screened.append(_screening_ppm(story, str(answer["run"])))
        story.cast.do(operator, "period.submit", NamePeriod(period=project.period))
    plots_error = " and ".join(percent(project.uncertainty_ppm) for project in story.projects)
    rasters_error = " and ".join(percent(ppm) for ppm in screened)
    total = tonnes(sum(project.run_kg for project in story.projects))
    return (
        f"{total} creditable from plots (± {plots_error} per project); "
        f"rasters alone ± {rasters_error}: screening only"
    )


def _register_files(story: Story) -> tuple[RunRasters, str]:
    files, home = story.files, story.installation.home
    today = civil_date(story.installation.clock.now())
    with ThreadPoolExecutor(2) as pool:  # each is looked at by a process of its own
        futures = {
            name: pool.submit(store_raster, home, path, claim, today=today)
            for name, path, claim in files.rasters()
        }
        rasters = {name: future.result() for name, future in futures.items()}
    plots = store_plots(home, files.plots)
    with story.installation.database.write() as session:
        registered = {name: record_raster(session, raster).sha256 for name, raster in rasters.items()}
        return RunRasters(**registered), record_plots(session, plots).sha256


def _screening_ppm(story: Story, run: str) -> int:
    """The error that the rasters alone would have, from the run's record."""
    with story.installation.database.read() as session:
        screening: Any = load_record(load_run(session, run)).document["screening"]
    return round(float(screening["uncertainty_pct"]) * 10_000)


def verify(story: Story) -> str:
    """A verifier from another house signs its own quantity with a key that the registry does not hold."""
    verifier = story.member("核查机构乙")
    for project in story.projects:
        story.cast.do(verifier, "period.accept", AcceptPeriod(period=project.period))
        deduction_kg = project.run_kg // DEDUCTION_SHARE
        command = VerifyPeriod(
            period=project.period,
            deduction_kg=deduction_kg,
            reason_code="site_visit",
            findings="抽查样地与记录一致；按保守原则扣减（示例）",
            attest_parameters=True,
            override_assumptions=True,
        )
        story.cast.do(verifier, "period.verify", command)
        project.verified_kg = project.run_kg - deduction_kg
    verified_kg = sum(project.verified_kg for project in story.projects)
    less = tonnes(_deducted(story))
    return f"核查机构乙 signs {verified_kg:,} kg with its own key, {less} less than estimated"


def _deducted(story: Story) -> int:
    return sum(project.run_kg - project.verified_kg for project in story.projects)


def issue(story: Story) -> str:
    """Proposed by the operator, approved by the authority; the option is delivered in the same entry."""
    operator, issuer = story.member("两山公司"), story.member("备案机关")
    for project in story.projects:
        proposed = story.cast.do(operator, "issuance.propose", ProposeIssuance(period=project.period))
        project.issuance = str(proposed["issuance"])
        project.answer = story.cast.together(
            operator.first, issuer.first, "issuance.approve", ApproveIssuance(issuance=project.issuance)
        )
    units, buffer, residue_kg = (
        sum(int(project.answer[name]) for project in story.projects)
        for name in ("units", "buffer_units", "residue_kg")
    )
    batches = sum(len(project.answer["batches"]) for project in story.projects)
    return (
        f"{units:,} units in {batches} batches, {buffer:,} of them buffer, {residue_kg} kg stay as residue; "
        "the option is delivered in the same entry"
    )


def tonnes(kg: int) -> str:
    return f"{kg / 1000:,.0f} tCO2e"


def percent(ppm: int) -> str:
    return f"{ppm / 10_000:.1f} %"
