"""Field mappings that organisations save: theirs alone, by revision, and never nonsense."""

from copy import deepcopy
from typing import Any

import pytest

from registry.accounts.service import NotFound
from registry.parcels.mapping import load_mapping, mapping_faults
from registry.parcels.mappings import (
    MappingBuiltIn,
    MappingNameRefused,
    MappingRefused,
    RevisionDiffers,
    RevisionMissing,
    checked_mapping,
    delete_mapping,
    find_mapping,
    load_saved,
    save_mapping,
)
from tests.registry.land import Land, ground, row


def body() -> dict[str, Any]:
    plain = load_mapping().model_dump(mode="json")
    del plain["name"]
    return plain


def save(land: Land, name: str, content: dict[str, Any], revision: int | None = None) -> int:
    installation = land.people.installation
    with installation.database.write() as session:
        now = installation.clock.now()
        return save_mapping(session, land.village.organisation, name, content, revision, now).revision


def test_a_saved_mapping_reads_a_table_with_headings_of_its_own(land: Land) -> None:
    own = body()
    own["fields"]["subcompartment"]["headings"] = ["图斑编号"]
    own["codes"]["stand_types"]["杉树"] = "chinese_fir"
    assert save(land, "常山县 2024", own) == 1
    outline, attributes = row(1, ground(0, 0), 优势树种="杉树")
    attributes["图斑编号"] = attributes.pop("小班")
    with land.people.installation.database.read() as session:
        mapping = find_mapping(session, land.village.organisation, "常山县 2024")
        with pytest.raises(NotFound):
            find_mapping(session, "somebody else", "常山县 2024")
    report = land.bring(land.village.first, land.file([(outline, attributes)]), mapping=mapping)
    assert (report.taken, report.mapping) == (True, "常山县 2024")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_change_names_the_revision_that_was_looked_at(land: Land) -> None:
    save(land, "m", body())
    with pytest.raises(RevisionMissing):
        save(land, "m", body())
    with pytest.raises(RevisionDiffers):
        save(land, "m", body(), 7)
    assert save(land, "m", body(), 1) == 2
    with land.people.installation.database.write() as session:
        with pytest.raises(RevisionDiffers):
            delete_mapping(session, land.village.organisation, "m", 1)
        delete_mapping(session, land.village.organisation, "m", 2)
        with pytest.raises(NotFound):
            load_saved(session, land.village.organisation, "m")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_names_that_mean_something_else_are_refused(land: Land) -> None:
    with pytest.raises(MappingBuiltIn):
        save(land, "subcompartments-zh", body())
    for name in ("", "../x", "x" * 61, "a\nb"):
        with pytest.raises(MappingNameRefused):
            save(land, name, body())


def spoilt(*path: str, value: Any) -> dict[str, Any]:
    content: dict[str, Any] = deepcopy(body())
    at = content
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (spoilt("fields", "village", "headings", value=["林班"]), "compartment"),
        (spoilt("fields", "village", "headings", value=[]), "fields.village.headings"),
        (spoilt("fields", "village", "required", value=False), "village"),
        (spoilt("fields", "county", "kind", value="text"), "county"),
        (spoilt("fields", "declared_area", "unit", value=None), "declared_area"),
        (spoilt("fields", "origin", "codes", value="nowhere"), "origin"),
        (spoilt("fields", "canopy_closure", "minimum", value="2"), "canopy_closure"),
        (spoilt("fields", "key", value={"headings": ["K"], "kind": "text"}), "key"),
        (spoilt("codes", "stand_types", value={"月桂": "moon_tree"}), "stand_type"),
        (spoilt("wood", value=1), "wood"),
        ({"fields": {}}, "county"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(content: dict[str, Any], field: str) -> None:
    with pytest.raises(MappingRefused) as refusal:
        checked_mapping("mine", content)
    listed: Any = refusal.value.facts["errors"]
    assert field in {fault["field"] for fault in listed}
    assert refusal.value.facts["count"] == len(listed)


def test_the_mapping_of_the_package_has_no_fault() -> None:
    assert mapping_faults(load_mapping()) == []
    assert checked_mapping("copy", body()).fields == load_mapping().fields
