"""Claims in outside registries (R-07): ground that CCER, VCS, Gold Standard, another province or a court's
order credits elsewhere.

Nobody can ask those registries from here, so somebody declares such a claim with a document, and from then on
it holds its ground against every project of this registry (`projects.claims.check`), as a claim of another
programme does. A collective or an operator declares it of its own parcels; the registry also draws outlines.
"""

from typing import Any, Final, Literal

import shapely
import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from geo.polygon import Polygonal, canonical, check_valid, polygonal, to_wkb
from ledger.canonical import JsonValue
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.machine import NotAuthorised, Role
from registry.office import ONE_LINE, Act, Answer, Command
from registry.parcels.ground import area_cm2, load_ground
from registry.parcels.models import Parcel
from registry.parcels.service import SHA256, current_version, load_parcel, parties_of
from registry.projects.claims import index_outside_claim, lock_ground
from registry.projects.models import OutsideClaim
from registry.projects.rules import (
    OUTSIDE_CLAIM,
    OutlineNotOwn,
    OutlineUnreadable,
    OutsideDatesRefused,
    OutsideGroundUnstated,
    OutsideRegistry,
    parse_day,
)
from registry.projects.service import ISO_DATE

POOL: Final = r"^[a-z][a-z0-9-]{0,39}$"
MOST_POOLS: Final = 5


class DeclareOutsideClaim(Command):
    """`parcel` or `outline`: of a parcel the outline that it has now is taken."""

    registry: OutsideRegistry
    foreign_id: str = Field(min_length=1, max_length=80, pattern=ONE_LINE, description="its number there")
    pools: list[str] = Field(min_length=1, max_length=MOST_POOLS, description="carbon pools credited there")
    from_on: str = Field(pattern=ISO_DATE)
    to_on: str = Field(pattern=ISO_DATE, description="the first day that is not credited there any more")
    parcel: str | None = None
    outline: str | None = Field(
        None, max_length=400_000, description="a GeoJSON Polygon or MultiPolygon, as text; the registry's"
    )
    evidence_sha256: str = Field(pattern=SHA256, description="the document that shows the claim")


class WithdrawOutsideClaim(Command):
    outside_claim: str
    reason: Literal["declared_in_error", "cancelled_there", "ground_corrected"]


def declare(desk: Desk, command: DeclareOutsideClaim) -> Answer:
    pools = _pools(command.pools)
    _check_dates(command)
    parcel, version, ground = _ground(desk, command)
    area = area_cm2(ground)
    opened = desk.commitment("ground", OutsideClaim, wkb=to_wkb(ground))
    lock_ground(desk.session, [ground])
    desk.act(
        OUTSIDE_CLAIM,
        "declare",
        desk.request_id,
        facts={
            "registry": command.registry,
            "foreign_id": command.foreign_id,
            "pools": pools,
            "from_on": command.from_on,
            "to_on": command.to_on,
            "organisation": desk.actor.organisation,
            "parcel": parcel,
            "version": version,
            "area_cm2": area,
            "evidence_sha256": command.evidence_sha256,
        },
        commitments={"ground": opened},
    )
    opened.reveal(load_outside_claim(desk.session, desk.request_id))
    index_outside_claim(desk.session, desk.request_id, ground)
    return {"outside_claim": desk.request_id, "area_cm2": area}


def withdraw(desk: Desk, command: WithdrawOutsideClaim) -> Answer:
    """The ground is free again: the declaration was wrong, or the claim there was cancelled."""
    row = load_outside_claim(desk.session, command.outside_claim)
    desk.act(OUTSIDE_CLAIM, "withdraw", row.id, reason_code=command.reason)
    return {"outside_claim": row.id}


ACTS = (
    Act("outside_claim.declare", DeclareOutsideClaim, declare),
    Act("outside_claim.withdraw", WithdrawOutsideClaim, withdraw),
)


# ---- deciding ----------------------------------------------------------------------------------------------


def _pools(named: list[str]) -> list[JsonValue]:
    return [*sorted(set(named))]


def _check_dates(command: DeclareOutsideClaim) -> None:
    parse_day(command.from_on)
    parse_day(command.to_on)
    if command.from_on >= command.to_on:
        raise OutsideDatesRefused(from_on=command.from_on, to_on=command.to_on)


def _ground(desk: Desk, command: DeclareOutsideClaim) -> tuple[str | None, int | None, Polygonal]:
    """Parcel and version, if it was declared of one, and the outline."""
    declarers = OUTSIDE_CLAIM.step(OUTSIDE_CLAIM.initial, "declare", desk.request_id).roles
    if desk.actor.role not in declarers:
        raise NotAuthorised(
            machine=OUTSIDE_CLAIM.name, action="declare", needed=" / ".join(sorted(declarers))
        )
    if (command.parcel is None) == (command.outline is None):
        raise OutsideGroundUnstated()
    if command.parcel is not None:
        parcel = load_parcel(desk.session, command.parcel)
        if desk.actor.role is not Role.REGISTRY_ADMIN and desk.actor.organisation not in parties_of(parcel):
            raise NotFound(kind="parcel", id=command.parcel)
        return parcel.id, parcel.version, load_ground(current_version(desk.session, parcel))
    if desk.actor.role is not Role.REGISTRY_ADMIN:
        raise OutlineNotOwn(role=desk.actor.role.value)
    assert command.outline is not None
    return None, None, read_outline(command.outline)


def read_outline(text: str) -> Polygonal:
    """A GeoJSON geometry as an outline of record (`OutlineUnreadable`, a `GeoRefusal`)."""
    try:
        drawn = shapely.from_geojson(text)
    except (shapely.errors.GEOSException, ValueError) as fault:
        raise OutlineUnreadable(reason=str(fault)[:120]) from fault
    return check_valid(canonical(polygonal(drawn)))


# ---- reading -----------------------------------------------------------------------------------------------


def load_outside_claim(session: Session, id_: str) -> OutsideClaim:
    row = session.get(OutsideClaim, id_)
    if row is None:
        raise NotFound(kind="outside claim", id=id_)
    return row


def of_organisation(organisation: str) -> sa.Select[Any]:
    """Outside claims that an organisation declared, or that are declared of its parcels."""
    own = sa.select(Parcel.id).where(
        sa.or_(Parcel.organisation_id == organisation, Parcel.operator_id == organisation)
    )
    return sa.select(OutsideClaim).where(
        sa.or_(OutsideClaim.organisation_id == organisation, OutsideClaim.parcel_id.in_(own))
    )
