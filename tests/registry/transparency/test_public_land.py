"""What is public of land: simplified outlines, and squares where somebody asked not to be seen."""

from pathlib import Path
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon, box

from geo.outline import (
    GENERALISED_DEGREES,
    box_key,
    coarse_mu,
    generalised,
    hidden,
    key_ranges,
    place_key,
    place_range,
    place_square,
)
from geo.polygon import canonical, from_wkb
from registry.accounts.service import NotFound
from registry.database import Database
from registry.language import Language, translate
from registry.machine import Mandate, Role
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.public import ParcelPublic, rebuild_public, refresh_public, set_masked
from registry.records.service import EraseRecord
from registry.transparency.features import Question, parcels_asked_for
from registry.transparency.ogc import COLLECTIONS
from registry.transparency.openapi_features import describe
from tests.registry.land import Land, ground
from tests.registry.people import People

DEGREES = st.floats(-1.0, 1.0).map(lambda value: round(value, 9))


@pytest.fixture
def land(people: People, tmp_path: Path) -> Land:
    return Land(people, tmp_path)


def shown_of(land: Land, parcel: str) -> ParcelPublic | None:
    with land.people.installation.database.read() as session:
        row = session.get(ParcelPublic, parcel)
        if row is not None:
            session.expunge(row)
        return row


def mask(land: Land, parcel: str, masked: bool = True) -> None:
    installation = land.people.installation
    with installation.database.write() as session:
        set_masked(session, land.village.first, parcel, masked, installation.clock.now())


# ---- geometry ----------------------------------------------------------------------------------------------


@given(DEGREES, DEGREES, st.floats(1e-6, 0.05), st.floats(1e-6, 0.05))
def test_a_hidden_parcel_lies_in_its_square_and_the_square_tells_its_middle_to_a_kilometre_only(
    x: float, y: float, width: float, height: float
) -> None:
    outline = canonical(box(118.8 + x, 29 + y, 118.8 + x + width, 29 + y + height))
    square = hidden(outline)
    assert square.buffer(1e-9).covers(outline)
    west, south, east, north = square.bounds
    assert east - west == pytest.approx(north - south)
    assert all(round(value, 2) == value for value in square.bounds)
    if max(width, height) <= 0.01:
        assert east - west == pytest.approx(0.02)


@given(st.floats(-0.004, 0.004), st.floats(-0.004, 0.004), st.floats(1e-5, 0.0019))
def test_parcels_about_one_corner_of_the_grid_hide_in_one_square_whatever_lines_they_cross(
    x: float, y: float, size: float
) -> None:
    outline = box(118.8 + x - size / 2, 29 + y - size / 2, 118.8 + x + size / 2, 29 + y + size / 2)
    assert hidden(outline).equals(hidden(box(118.799, 28.999, 118.801, 29.001)))


def test_an_outline_is_simplified_by_twenty_metres_at_most_and_never_vanishes() -> None:
    outlines = [canonical(box(118.8, 29.0, 118.8 + size, 29.0 + size)) for size in (1e-6, 1e-4, 0.01, 0.3)]
    for outline, simple in zip(outlines, generalised(outlines), strict=True):
        assert not simple.is_empty and simple.is_valid
        assert shapely.hausdorff_distance(outline, simple) <= 1.5 * GENERALISED_DEGREES


def test_an_outline_that_falls_apart_when_it_is_simplified_keeps_its_parts() -> None:
    waist = [(0, 0), (0.01, 0), (0.01, 0.01), (0.00501, 0.005), (0.01, 0.02), (0, 0.02), (0.00499, 0.005)]
    (simple,) = generalised([Polygon([(118.8 + x, 29 + y) for x, y in waist])])
    assert simple.is_valid and simple.area > 0


boxes = st.tuples(st.floats(73, 134), st.floats(18, 53), st.floats(0, 3), st.floats(0, 3)).map(
    lambda b: (b[0], b[1], b[0] + b[2] ** 3 / 9, b[1] + b[3] ** 3 / 9)
)


@given(boxes, boxes, st.floats(0, 1), st.floats(0, 1))
def test_every_box_that_meets_another_is_among_those_looked_at(
    one: tuple[float, float, float, float],
    other: tuple[float, float, float, float],
    across: float,
    up: float,
) -> None:
    """The other box is moved so that it meets the first."""
    dx = one[0] + across * (one[2] - one[0]) - other[0]
    dy = one[1] + up * (one[3] - one[1]) - other[1]
    asked = (other[0] + dx, other[1] + dy, other[2] + dx, other[3] + dy)
    ranges = key_ranges(asked)
    assert ranges is None or any(low <= box_key(one) <= high for low, high in ranges)


def test_a_small_box_is_found_by_few_and_short_ranges() -> None:
    ranges = key_ranges((118.80, 28.90, 118.81, 28.91))
    assert ranges is not None and len(ranges) < 40
    assert sum(high - low + 1 for low, high in ranges) < 200


@given(boxes, st.integers(0, 16))
def test_a_place_lies_in_one_tile_of_each_zoom(bounds: tuple[float, float, float, float], zoom: int) -> None:
    key = place_key(bounds)
    square = place_square(key >> 2 * (20 - zoom), zoom)
    low, high = place_range(zoom, *square)
    assert low <= key <= high


@pytest.mark.parametrize(
    ("mu", "said"),
    [(0.2, 1), (1, 1), (14, 10), (15, 20), (149, 100), (150, 200), (12_345, 10_000), (99, 100)],
)
def test_a_masked_area_has_one_significant_digit(mu: float, said: int) -> None:
    assert coarse_mu(round(mu * 2e7 / 3)) == said


# ---- rows --------------------------------------------------------------------------------------------------


def test_a_parcel_is_shown_simplified_or_hidden_as_its_holder_says(land: Land) -> None:
    exact, home = ground(13.37, 7.77, 412.3, 333.3), ground(0, 1000, 410, 330)
    parcel, hidden_before = land.drafts(land.village, exact, ground(0, 2000, 410, 330))
    (household,) = land.drafts(land.village, home, 权属="个人")
    mask(land, hidden_before)  # a draft, before anybody sees it
    for draft in (parcel, hidden_before, household):
        land.submit(land.village, draft)

    row = shown_of(land, parcel)
    assert row is not None and not row.masked and row.village == "甲村" and row.since_ms > 0
    given = {tuple(xy) for xy in shapely.get_coordinates(exact)}
    assert not {tuple(xy) for xy in shapely.get_coordinates(from_wkb(row.wkb))} & given
    row = shown_of(land, hidden_before)
    assert row is not None and row.masked
    row = shown_of(land, household)  # masked without asking: its ground is a person's
    assert row is not None and row.masked and row.village is None and row.area_mu == "200"
    assert from_wkb(row.wkb).equals(hidden(home))
    mask(land, household, False)
    row = shown_of(land, household)
    assert row is not None and not row.masked and row.village == "甲村"

    installation = land.people.installation
    stranger = Mandate("m", "p", "another", Role.COLLECTIVE)
    for name in (parcel, hidden_before, "none"):
        with pytest.raises(NotFound), installation.database.write() as session:
            set_masked(session, stranger, name, True, installation.clock.now())


def test_rows_can_be_made_again_and_an_erased_outline_is_gone(land: Land) -> None:
    outlines = ground(0, 0), ground(500, 0), ground(1000, 0, 300, 300), ground(2000, 0)
    *_, last = [land.submit(land.village, draft) for draft in land.drafts(land.village, *outlines)]
    mask(land, last)

    def rows() -> list[tuple[object, ...]]:
        with land.people.installation.database.read() as session:
            wanted = sa.select(ParcelPublic.__table__).order_by(ParcelPublic.parcel_id)
            return [tuple(row) for row in session.execute(wanted)]

    before = rows()
    with land.people.installation.database.write() as session:
        session.execute(sa.delete(ParcelPublic).where(ParcelPublic.parcel_id == last))
        session.execute(sa.update(ParcelPublic).where(ParcelPublic.code == before[0][3]).values(version=9))
        assert refresh_public(session) in (1, 2)  # the last may be the first too
    assert rows() == before
    with land.people.installation.database.write() as session:
        assert rebuild_public(session) == 4
    assert rows() == before

    with land.people.installation.database.read() as session:
        commitment = session.get_one(ParcelVersion, (last, 1)).commitment
        index = session.get_one(Parcel, last).entry_index
    erase = EraseRecord(commitment=commitment, index=index)
    land.people.together(land.registry.first, land.registry.second, "record.erase", erase)
    assert shown_of(land, last) is None and len(rows()) == 3


def test_a_small_box_and_a_tile_are_found_by_their_indexes(sqlite_url: str) -> None:
    """SQLite says how it will look; a plan that walks all parcels would be right and slow."""
    database = Database(sqlite_url)
    box = (118.80, 28.90, 118.82, 28.92)
    asked = parcels_asked_for(sa.select(ParcelPublic.parcel_id), Question(boxes=(box,), after="x"))
    low, high = place_range(12, 3399, 1705)
    counted = sa.select(sa.func.count()).where(ParcelPublic.place.between(low, high))
    with database.read() as session:

        def plan(statement: sa.Select[Any]) -> str:
            spelled = statement.compile(session.connection(), compile_kwargs={"literal_binds": True})
            rows = session.execute(sa.text(f"explain query plan {spelled}"))
            return "\n".join(str(row.detail) for row in rows)

        small = plan(asked.order_by(ParcelPublic.parcel_id).limit(10))
        tile = plan(counted)
    database.dispose()
    assert "MATERIALIZE near" in small and "ix_parcel_public_box" in small
    assert "SCAN parcel_public" not in small
    assert "COVERING INDEX ix_parcel_public_place" in tile


def test_what_the_feature_service_says_of_itself_is_said_in_chinese_too() -> None:
    document = describe("http://x/ogc", COLLECTIONS.values())
    said = [operation["get"]["summary"] for operation in document["paths"].values()]
    said += [text for one in COLLECTIONS.values() for text in (one.title, one.about)]
    assert [text for text in said if translate(text, Language.CHINESE) == text] == []
