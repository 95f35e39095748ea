"""A holder makes one block of blocks that adjoin (RULES 2, "Splitting", 5). Nothing does it automatically."""

from typing import ClassVar

from pydantic import Field

from ledger.canonical import JsonValue
from ledger.effects import MergeBlocks
from ledger.units import UnitRange
from registry.acts import Desk
from registry.issuance.draft import Draft
from registry.issuance.rules import MERGE, IssuanceRefused
from registry.issuance.units import free_blocks
from registry.office import Act, Answer, Command
from registry.programmes.rules import units_account
from registry.projects.service import load_project


class NothingToMerge(IssuanceRefused):
    """The units named are not two or more free blocks of one batch, from the first unit to the last."""

    code: ClassVar[str] = "nothing_to_merge"
    template: ClassVar[str] = "The units {units} are not free adjoining blocks of yours, of one batch."


class MergeUnits(Command):
    project: str
    start: int = Field(ge=1, le=2**53 - 1, description="the first unit of the first block")
    end: int = Field(ge=1, le=2**53 - 1, description="the last unit of the last block")


def merge(desk: Desk, command: MergeUnits) -> Answer:
    """Only what the holder has free, and exactly from the start of a block to the end of one."""
    project = load_project(desk.session, command.project)
    asked = f"{command.start}-{command.end}"
    if command.start > command.end:
        raise NothingToMerge(units=asked)
    units = UnitRange(command.start, command.end)
    account = units_account(desk.actor.organisation, project.programme_id)
    blocks = [b for b in free_blocks(desk.session, account, project.id) if units.contains(b.units)]
    whole = units.partitioned_by([block.units for block in blocks])
    if not whole or len(blocks) < 2 or len({block.batch for block in blocks}) > 1:
        raise NothingToMerge(units=asked)
    draft = Draft(desk)
    draft.add(MergeBlocks(draft.name(), tuple(block.block for block in blocks)))
    facts: dict[str, JsonValue] = {
        "project": project.id, "start": units.start, "end": units.end, "blocks": len(blocks),
    }  # fmt: skip
    desk.act(MERGE, "merge", desk.request_id, facts=facts, effects=draft.take())
    return {"units": units.count, "blocks": len(blocks)}


ACTS = (Act("block.merge", MergeUnits, merge),)
