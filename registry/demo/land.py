"""Steps 1 and 2 of the demo: the people, the land they bring, and the projects that claim it."""

import hashlib
from collections import Counter
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from geo.polygon import from_wkb
from registry.demo.story import CountyProject, Story
from registry.estimates.methods import DEFAULT_METHOD
from registry.files import FileStore
from registry.machine import Role
from registry.parcels.examining import Declaration
from registry.parcels.imports import import_file
from registry.parcels.models import ParcelDraft
from registry.parcels.report import ImportReport, LiesOnParcel, RowsShareSliver
from registry.parcels.rules import mu_of_cm2
from registry.parcels.service import AcceptParcel, FindEligible, SubmitParcel
from registry.programmes.service import programme_file
from registry.projects.models import LandClaim
from registry.projects.service import NameProject, SubmitProject

NOTICE_DAYS = 40
ZONE_BOUNDARY_DEG = 118.5
OVERLAPS = (RowsShareSliver.code, LiesOnParcel.code)


def register_everybody(story: Story) -> None:
    """Registry, authority, operator, two verification houses, buyers, bank, and a collective for each
    village.
    """
    cast = story.cast
    cast.join("登记处", Role.REGISTRY_ADMIN, persons=2)
    cast.join("备案机关", Role.ISSUER)
    cast.join("两山公司", Role.OPERATOR, persons=2)
    cast.join("审定机构甲", Role.VERIFIER)
    cast.join("核查机构乙", Role.VERIFIER, own_key=True)
    cast.join("企业甲", Role.ENTERPRISE, persons=2)
    cast.join("企业乙", Role.ENTERPRISE)
    cast.join("个人丙", Role.INDIVIDUAL)
    cast.join("银行", Role.BANK)
    for village, county in story.files.villages.items():
        story.collectives[village] = cast.join(f"{village}集体", Role.COLLECTIVE, county, persons=2)
    publish = programme_file()
    cast.two_persons(story.member("登记处"), "programme.publish", publish)
    story.programme = f"{publish.code}.{publish.version}"


def import_land(story: Story) -> ImportReport:
    """The villages' parcels come in as drafts: all, or none and every wrong row named."""
    installation = story.installation
    return import_file(
        installation.database,
        FileStore(installation.home.files),
        story.member("两山公司").first,
        story.files.parcels,
        Declaration(
            story.programme,
            owners={village: member.organisation for village, member in story.collectives.items()},
        ),
        now=installation.clock.now(),
    ).require()


def review_land(story: Story, report: ImportReport) -> str:
    """Every collective submits its drafts with two signatures; verifier and registry find them eligible."""
    drafts = _drafts(story)
    by_owner = {member.organisation: member for member in story.collectives.values()}
    evidence = _evidence(story)
    operator, reviewer, registry = (story.member(n) for n in ("两山公司", "审定机构甲", "登记处"))
    story.cast.all_together(
        [
            (
                by_owner[draft.organisation_id].first,
                by_owner[draft.organisation_id].second,
                "parcel.submit",
                SubmitParcel(draft=draft.id, operator=operator.organisation, **evidence[draft.village]),
            )
            for draft in drafts
        ]
    )
    ids = [draft.id for draft in drafts]
    story.cast.all(reviewer.first, "parcel.accept", [AcceptParcel(parcel=parcel) for parcel in ids])
    story.cast.all_together(
        [
            (
                reviewer.first,
                registry.first,
                "parcel.find_eligible",
                FindEligible(parcel=parcel, programme=story.programme),
            )
            for parcel in ids
        ]
    )
    counties = Counter(draft.county for draft in drafts)
    story.projects = [
        CountyProject(county, [draft.id for draft in drafts if draft.county == county])
        for county in sorted(counties)
    ]
    crossing = sum(_crosses(draft.wkb) for draft in drafts)
    overlaps = sum(warning.code in OVERLAPS for warning in report.warnings)
    if story.assumed:
        story.say(f"assumed, because your files do not say: {', '.join(story.assumed)}")
    return (
        f"{len(drafts)} parcels of {len(story.collectives)} villages in {len(counties)} counties, "
        f"{float(mu_of_cm2(report.area_cm2)):,.0f} mu; crossing 118.5°E: {crossing}; overlaps: {overlaps}"
    )


def _drafts(story: Story) -> list[ParcelDraft]:
    with story.installation.database.read() as session:
        drafts = list(session.scalars(sa.select(ParcelDraft).order_by(ParcelDraft.row_number)))
        session.expunge_all()
    return drafts


def _crosses(wkb: bytes) -> bool:
    west, _, east, _ = from_wkb(wkb).bounds
    return bool(west < ZONE_BOUNDARY_DEG < east)


def _evidence(story: Story) -> dict[str, dict[str, str]]:
    """A tenure file and a resolution for each village: invented documents, referred to by digest."""
    folder = story.files.parcels.parent / "evidence"
    folder.mkdir(exist_ok=True)
    evidence = {}
    for n, village in enumerate(story.collectives, start=1):
        evidence[village] = {
            "evidence_sha256": _document(folder / f"tenure-{n}.txt", f"{village}林权证清单（示例）\n"),
            "resolution_sha256": _document(
                folder / f"resolution-{n}.txt", f"{village}村民会议决议（示例）\n"
            ),
        }
    return evidence


def _document(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def register_projects(story: Story) -> str:
    """One project for each county: public notice, validation by another house, registration with its land
    claims.
    """
    operator, registry, validator = (story.member(n) for n in ("两山公司", "登记处", "审定机构甲"))
    for project in story.projects:
        submit = SubmitProject(
            programme=story.programme,
            county=project.county,
            name=f"林业碳汇项目（{project.county}）",
            parcels=project.parcels,
            crediting_from=story.files.period_from.isoformat(),
            crediting_to=story.files.period_from.replace(year=story.files.period_from.year + 20).isoformat(),
            method=DEFAULT_METHOD,
        )
        project.project = str(story.cast.do(operator, "project.submit", submit)["project"])
        story.cast.do(registry, "project.publish", NameProject(project=project.project))
    story.advance(timedelta(days=NOTICE_DAYS))
    for project in story.projects:
        named = NameProject(project=project.project)
        story.cast.do(validator, "project.validate", named)
        story.cast.two_persons(registry, "project.register", named)
    registered = f"{len(story.projects)} projects registered under {story.programme}"
    return f"{registered}, {_claims(story)} land claims held"


def _claims(story: Story) -> int:
    with story.installation.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(LandClaim)) or 0
