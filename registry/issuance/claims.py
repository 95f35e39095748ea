"""The land claim, held again where units are credited and where they retire (DESIGN, Truth 3).

The one function that decides is `projects.claims.check`; here it is asked about the home parcels of some
units over the dates in which these grew.
"""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.polygon import Polygonal, from_wkb
from registry.issuance.rules import GroundContested
from registry.parcels.life import require_running
from registry.parcels.models import ParcelVersion
from registry.programmes.service import load_programme
from registry.projects import claims
from registry.projects.models import LandClaim, MonitoringPeriod, Project, ProjectParcel
from registry.projects.rules import DateRange


def require_ground(
    session: Session,
    project: Project,
    period: MonitoringPeriod,
    parcels: Collection[int],
    today: str,
    *,
    outlines: bool,
) -> None:
    """Every named parcel (by its number in the project) has a claim of the project over the whole period, and
    its ground is nobody else's.

    Raises `GroundContested` without such a claim, `projects.rules.ClaimRefused` naming the neighbours, with
    the `outlines` of what is shared for those who may see the parcels. Locks the ground.
    """
    programme = load_programme(session, project.programme_id)
    dates = DateRange(period.from_on, period.to_on)
    grounds = _grounds(session, project, parcels, dates)
    claims.lock_ground(session, list(grounds.values()))
    verdicts: dict[str, claims.ClaimVerdict] = {}
    for pool in pools_of(period):
        own = _own_claims(session, project, pool)
        for parcel, ground in grounds.items():
            mine = [claim for claim in own.get(parcel, []) if _covers(claim, dates)]
            if not mine:
                raise GroundContested(
                    parcel=parcel,
                    from_on=dates.from_on,
                    to_on=dates.to_on,
                    reason="the project has no claim on it",
                )
            verdicts[parcel] = claims.check(
                session,
                ground,
                dates,
                pool,
                programme,
                today=today,
                except_claims=[claim.id for claim in own[parcel]],
                locked=True,
            )
        claims.refuse_all(verdicts, outlines=outlines)


def require_not_suspended(session: Session, project: Project, parcels: Collection[int]) -> None:
    """None of the parcels (by number) is suspended (`ParcelSuspended`): nothing new is issued for it. Units
    that it grew before are not asked about here.
    """
    listed = sa.select(ProjectParcel.parcel_id).where(
        ProjectParcel.project_id == project.id, ProjectParcel.number.in_(parcels)
    )
    require_running(session, session.scalars(listed).all())


def pools_of(period: MonitoringPeriod) -> list[str]:
    return period.pools.split(",")


def _grounds(
    session: Session, project: Project, parcels: Collection[int], dates: DateRange
) -> dict[str, Polygonal]:
    """The outlines of parcels of a project, by parcel id; an erased one is contested."""
    rows = session.execute(
        sa.select(ProjectParcel.number, ProjectParcel.parcel_id, ParcelVersion.wkb)
        .join(
            ParcelVersion,
            sa.and_(
                ParcelVersion.parcel_id == ProjectParcel.parcel_id,
                ParcelVersion.version == ProjectParcel.parcel_version,
            ),
        )
        .where(ProjectParcel.project_id == project.id, ProjectParcel.number.in_(parcels))
        .order_by(ProjectParcel.number)
    ).all()
    grounds: dict[str, Polygonal] = {}
    for _, parcel, wkb in rows:
        if wkb is None:
            raise GroundContested(
                parcel=parcel, from_on=dates.from_on, to_on=dates.to_on, reason="its outline was erased"
            )
        grounds[parcel] = from_wkb(wkb)
    return grounds


def _own_claims(session: Session, project: Project, pool: str) -> dict[str, list[LandClaim]]:
    own: dict[str, list[LandClaim]] = {}
    for claim in session.scalars(
        sa.select(LandClaim).where(LandClaim.project_id == project.id, LandClaim.pool == pool)
    ):
        own.setdefault(claim.parcel_id, []).append(claim)
    return own


def _covers(claim: LandClaim, dates: DateRange) -> bool:
    """A claim that ended since still holds for the dates before its end."""
    return DateRange(claim.from_on, claim.to_on).contains(dates)
