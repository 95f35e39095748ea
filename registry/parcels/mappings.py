"""Field mappings that organisations save under a name of their own, beside those of this package."""

import re
from datetime import datetime
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.database import lock_named
from registry.parcels.import_models import SavedMapping
from registry.parcels.mapping import DEFAULT, FieldMap, load_mapping, mapping_faults
from registry.parcels.rules import ParcelRefused

BUILT_IN: Final = (DEFAULT,)
_NAME: Final = re.compile(r"[\w][\w .-]{0,59}")
MOST_MAPPINGS: Final = 100


class MappingRefused(ParcelRefused):
    """`errors` lists every fault: the field, and what is wrong with it."""

    code: ClassVar[str] = "mapping_refused"
    template: ClassVar[str] = "The field mapping {name} has {count} faults."


class MappingBuiltIn(ParcelRefused):
    code: ClassVar[str] = "mapping_built_in"
    template: ClassVar[str] = "{name} is a mapping of the registry itself; save yours under another name."


class MappingNameRefused(ParcelRefused):
    code: ClassVar[str] = "mapping_name_refused"
    template: ClassVar[str] = (
        "A mapping's name has 1 to 60 letters, digits, spaces, dots, dashes and underscores."
    )


class MappingsFull(ParcelRefused):
    code: ClassVar[str] = "mappings_full"
    template: ClassVar[str] = "An organisation saves at most {limit} field mappings; delete one first."


class RevisionMissing(ParcelRefused):
    code: ClassVar[str] = "revision_missing"
    template: ClassVar[str] = (
        "The mapping {name} exists; If-Match with its ETag says which revision is meant."
    )


class RevisionDiffers(ParcelRefused):
    code: ClassVar[str] = "revision_differs"
    template: ClassVar[str] = (
        "The mapping {name} was changed meanwhile: it is at revision {revision}. Look at it again."
    )


def find_mapping(session: Session, organisation: str, name: str | None) -> FieldMap:
    """The mapping meant: the organisation's own, or one of this package; by default the package's
    (`NotFound`).
    """
    if name is None or name in BUILT_IN:
        return load_mapping(name or DEFAULT)
    return FieldMap.model_validate(load_saved(session, organisation, name).body)


def load_saved(session: Session, organisation: str, name: str) -> SavedMapping:
    row = session.get(SavedMapping, (organisation, name))
    if row is None:
        raise NotFound(kind="field mapping", id=name[:60])
    return row


def list_saved(session: Session, organisation: str) -> list[SavedMapping]:
    wanted = sa.select(SavedMapping).where(SavedMapping.organisation_id == organisation)
    return list(session.scalars(wanted.order_by(SavedMapping.name)))


def save_mapping(
    session: Session, organisation: str, name: str, body: dict[str, Any], revision: int | None, now: datetime
) -> SavedMapping:
    """Save a mapping under a name; to change one, `revision` is the one that was looked at.

    Raises `MappingNameRefused`, `MappingBuiltIn`, `MappingRefused`, `RevisionMissing`, `RevisionDiffers`,
    `MappingsFull`.
    """
    if not _NAME.fullmatch(name):
        raise MappingNameRefused()
    if name in BUILT_IN:
        raise MappingBuiltIn(name=name)
    mapping = checked_mapping(name, body)
    lock_named(session, f"field-mappings/{organisation}")
    row = session.get(SavedMapping, (organisation, name))
    if row is None:
        if len(list_saved(session, organisation)) >= MOST_MAPPINGS:
            raise MappingsFull(limit=MOST_MAPPINGS)
        row = SavedMapping(organisation_id=organisation, name=name, revision=0)
        session.add(row)
    else:
        require_revision(row, revision)
    row.body, row.revision = mapping.model_dump(mode="json"), row.revision + 1
    row.updated_at = now
    return row


def delete_mapping(session: Session, organisation: str, name: str, revision: int | None) -> None:
    lock_named(session, f"field-mappings/{organisation}")
    row = load_saved(session, organisation, name)
    require_revision(row, revision)
    session.delete(row)
    session.flush()


def require_revision(row: SavedMapping, revision: int | None) -> None:
    if revision is None:
        raise RevisionMissing(name=row.name)
    if revision != row.revision:
        raise RevisionDiffers(name=row.name, revision=row.revision)


def checked_mapping(name: str, body: dict[str, Any]) -> FieldMap:
    """A mapping out of a JSON object; `MappingRefused` lists everything that is wrong with it."""
    try:
        mapping = FieldMap.model_validate({**body, "name": name})
    except ValidationError as invalid:
        raise _refused(
            name, [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in invalid.errors()]
        ) from invalid
    faults = [*mapping_faults(mapping), *_unknown_words(mapping)]
    if faults:
        raise _refused(name, faults)
    return mapping


def _unknown_words(mapping: FieldMap) -> list[tuple[str, str]]:
    """Codes of stand types and tenures that the registry does not know."""
    own = load_mapping()
    faults = []
    for field in ("stand_type", "tenure_kind"):
        how = mapping.fields.get(field)
        known = set(own.codes[own.fields[field].codes or ""].values())
        codes = mapping.codes.get(how.codes or "", {}) if how is not None else {}
        faults += [
            (field, f"{word} means {code}, which is none of: {', '.join(sorted(known))}")
            for word, code in codes.items()
            if code not in known
        ]
    return faults


def _refused(name: str, faults: list[tuple[str, str]]) -> MappingRefused:
    listed = [{"field": field, "message": message} for field, message in faults]
    return MappingRefused(name=name, count=len(listed), errors=listed)
