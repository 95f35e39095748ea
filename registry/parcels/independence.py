"""Who may judge: an organisation that is not a party, and shares no natural person with one (RULES 1.1,
R-16).
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.accounts.models import MandateRow
from registry.parcels.rules import NotIndependent


def check_independent(session: Session, organisation: str, parties: Iterable[str]) -> None:
    """Refuse a judge with an interest: the same organisation, or a person with a running mandate in both
    (`NotIndependent`).
    """
    concerned = sorted(set(parties))
    if organisation in concerned:
        raise NotIndependent(organisation=organisation, party=organisation, reason="same_organisation")
    own = sa.select(MandateRow.person_id).where(
        MandateRow.organisation_id == organisation, MandateRow.status == "active"
    )
    shared = session.scalars(
        sa.select(MandateRow.organisation_id)
        .where(
            MandateRow.organisation_id.in_(concerned),
            MandateRow.status == "active",
            MandateRow.person_id.in_(own),
        )
        .order_by(MandateRow.organisation_id)
    ).first()
    if shared is not None:
        raise NotIndependent(organisation=organisation, party=shared, reason="shared_person")
