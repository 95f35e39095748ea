"""Many acts of one kind at once: one request each, sent together, so that they share the writer's groups.

Request ids follow from the batch's id and the subject, so that sending a batch again answers what was done
and does the rest.
"""

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from ledger.errors import LedgerRefusal
from registry.errors import RegistryRefusal
from registry.machine import Mandate
from registry.office import Command, Office, Outcome


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What came of each subject: its outcome, or why it was refused."""

    outcomes: Mapping[str, Outcome]
    refusals: Mapping[str, Exception]


def send_many(
    office: Office,
    actor: Mandate,
    act: str,
    commands: Mapping[str, Command],
    batch: str,
    confirmer: Mandate | None = None,
) -> BulkOutcome:
    """Send one command per subject; where an act needs a second signature, `confirmer` gives it with a key in
    server custody.

    `batch` is the batch's UUID. Refusals of single subjects do not hold up the others; faults that are no
    refusal are raised.
    """
    requests = {subject: str(uuid.uuid5(uuid.UUID(batch), f"{act}/{subject}")) for subject in commands}
    sent = {
        subject: office.send(actor, act, command, requests[subject]) for subject, command in commands.items()
    }
    outcomes, refusals = _settled(sent)
    if confirmer is not None:
        awaiting = {
            subject: office.send_confirmation(confirmer, requests[subject])
            for subject, outcome in outcomes.items()
            if outcome.status == "awaiting"
        }
        confirmed, refused = _settled(awaiting)
        outcomes |= confirmed
        for subject in refused:
            del outcomes[subject]
        refusals |= refused
    return BulkOutcome(outcomes, refusals)


def _settled(
    futures: Mapping[str, "Future[Outcome]"],
) -> tuple[dict[str, Outcome], dict[str, Exception]]:
    outcomes: dict[str, Outcome] = {}
    refusals: dict[str, Exception] = {}
    for subject, future in futures.items():
        try:
            outcomes[subject] = future.result()
        except (RegistryRefusal, LedgerRefusal) as refusal:
            refusals[subject] = refusal
    return outcomes, refusals
