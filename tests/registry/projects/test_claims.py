"""Ground is claimed once: (ground x period x pool), whatever the programme, whoever comes first (I4)."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity
from sqlalchemy.orm import Session

import registry.cli as command_line
from geo.crs import area_m2
from geo.polygon import Polygonal, canonical, polygonal
from registry.database import Base, Database
from registry.machine import Role
from registry.parcels.ground import Outlines, area_cm2
from registry.programmes.models import Programme
from registry.programmes.service import TERMS, programme_file
from registry.projects.claims import Claimed, ClaimVerdict, check
from registry.projects.models import LandClaim
from registry.projects.rules import CLAIM, ClaimEndRefused, ClaimRefused, DateRange
from registry.projects.service import (
    CloseParcel,
    NameProject,
    load_project,
    project_claims,
    project_grounds,
)
from registry.transparency.audit import audit
from tests.registry.land import CREDITING, ORIGIN, Land, Pair, ground


def held_claims(land: Land) -> list[LandClaim]:
    with land.people.installation.database.read() as session:
        found = list(session.scalars(sa.select(LandClaim).order_by(LandClaim.claimed_index)))
        session.expunge_all()
        return found


def refused(land: Land, project: str) -> dict[str, Any]:
    with pytest.raises(ClaimRefused) as refusal:
        land.register(project)
    return refusal.value.facts


@pytest.fixture
def neighbours(land: Land) -> Pair:
    return land.pair(Role.COLLECTIVE, "乙村")


def test_a_registered_project_holds_one_claim_for_each_parcel(land: Land) -> None:
    parcels = land.eligible(land.village, ground(0, 0), ground(200, 0))
    land.registered(land.village.first, parcels)
    held = held_claims(land)
    assert [(claim.parcel_id, claim.status, claim.pool) for claim in held] == [
        (parcel, "active", "forest-biomass") for parcel in parcels
    ]
    assert {(claim.from_on, claim.to_on) for claim in held} == {CREDITING}
    assert [claim.credited_cm2 for claim in held] == [area_cm2(ground(0, 0)), area_cm2(ground(200, 0))]
    assert audit(land.people.installation.home).findings == []


def test_the_same_registry_does_not_overlook_its_own_duplicate(land: Land, neighbours: Pair) -> None:
    """D7: a duplicate check that compares different registries only is blind here."""
    first = land.eligible(land.village, ground(0, 0))
    second = land.eligible(neighbours, ground(0, 0), overlap_reason="neighbour_withdraws")
    one = land.submitted(land.village.first, first)
    two = land.submitted(neighbours.first, second)
    land.validated(one, two)
    land.register(one)
    facts = refused(land, two)
    assert (facts["candidate"], facts["parcel"], facts["project"]) == (second[0], first[0], one)
    assert (facts["candidate_share"], facts["neighbour_share"]) == (1.0, 1.0)
    assert (facts["overlap_mu"], facts["rule"]) == ("14.9999", "overlap-2026")
    assert len(held_claims(land)) == 1


def test_a_small_parcel_inside_a_large_one_is_an_overlap(land: Land, neighbours: Pair) -> None:
    """D13: intersection over union, or over the larger field, would call this five per cent."""
    large = land.eligible(land.village, ground(0, 0, 400, 500))
    small = land.eligible(neighbours, ground(150, 200, 100, 100), overlap_reason="boundary_agreed")
    one, two = land.submitted(land.village.first, large), land.submitted(neighbours.first, small)
    land.validated(one, two)
    land.register(one)
    facts = refused(land, two)
    assert facts["candidate_share"] == 1.0
    assert facts["neighbour_share"] == pytest.approx(0.05, abs=1e-4)


def test_a_large_parcel_around_a_small_one_is_the_same_overlap(land: Land, neighbours: Pair) -> None:
    """D13: the order in which they come does not matter."""
    small = land.eligible(neighbours, ground(150, 200, 100, 100))
    large = land.eligible(land.village, ground(0, 0, 400, 500), overlap_reason="boundary_agreed")
    one, two = land.submitted(neighbours.first, small), land.submitted(land.village.first, large)
    land.validated(one, two)
    land.register(one)
    facts = refused(land, two)
    assert facts["candidate_share"] == pytest.approx(0.05, abs=1e-4)
    assert facts["neighbour_share"] == 1.0


def test_neighbours_that_only_touch_both_get_all_of_their_ground(land: Land, neighbours: Pair) -> None:
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    land.registered(neighbours.first, land.eligible(neighbours, ground(100, 0)))
    assert [claim.credited_cm2 for claim in held_claims(land)] == [
        area_cm2(ground(0, 0)),
        area_cm2(ground(100, 0)),
    ]


def test_a_slivers_ground_is_credited_to_the_earlier_claim_only(land: Land, neighbours: Pair) -> None:
    mine, theirs = ground(0, 0), ground(99.8, 0)  # 0.2 m of 100 m: thinner than half a metre, 0.2 %
    land.registered(land.village.first, land.eligible(land.village, mine))
    project = land.registered(neighbours.first, land.eligible(neighbours, theirs))
    earlier, later = held_claims(land)
    shared = area_m2(polygonal(mine.intersection(theirs))) * 10_000
    assert shared == pytest.approx(200_000, rel=1e-3)
    assert earlier.credited_cm2 == area_cm2(mine)
    assert later.credited_cm2 == pytest.approx(area_cm2(theirs) - shared, abs=2)
    with land.people.installation.database.read() as session:
        verdict = _again(session, land, project)
    assert verdict.credited_cm2 == later.credited_cm2


def _again(session: Session, land: Land, project: str) -> ClaimVerdict:
    """The check as issuance and retirement repeat it, for the project's first parcel."""
    row = load_project(session, project)
    own = project_claims(session, project)[0]
    programme = session.get_one(Programme, row.programme_id)
    outline = project_grounds(session, project)[0].geometry
    return check(
        session, outline, DateRange("2020-01-01", "2025-01-01"), own.pool, programme,
        today="2025-06-01", except_claims=[own.id],
    )  # fmt: skip


def test_checked_again_the_earlier_claim_loses_nothing_to_the_later(land: Land, neighbours: Pair) -> None:
    first = land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    land.registered(neighbours.first, land.eligible(neighbours, ground(99.8, 0)))
    with land.people.installation.database.read() as session:
        verdict = _again(session, land, first)
    assert verdict.clear
    assert verdict.credited_cm2 == verdict.area_cm2
    assert [one.earlier for one in verdict.slivers] == [False]


def test_a_thin_strip_along_a_long_border_is_no_sliver_when_it_is_too_much(
    land: Land, neighbours: Pair
) -> None:
    """0.4 m of 30 m are more than one per cent of the parcel."""
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0, 30, 100)))
    second = land.eligible(neighbours, ground(29.6, 0, 30, 100), overlap_reason="survey_accuracy")
    project = land.submitted(neighbours.first, second)
    land.validated(project)
    facts = refused(land, project)
    assert facts["overlap_m2"] == pytest.approx(40, abs=0.1)


def test_another_day_is_another_claim_under_the_same_programme(land: Land, neighbours: Pair) -> None:
    """Periods are half-open: one ends on the day the next begins."""
    land.registered(
        land.village.first, land.eligible(land.village, ground(0, 0)), crediting=("2020-01-01", "2030-01-01")
    )
    later = land.eligible(neighbours, ground(0, 0), overlap_reason="neighbour_withdraws")
    land.registered(neighbours.first, later, crediting=("2030-01-01", "2040-01-01"))
    assert len(held_claims(land)) == 2


def test_one_day_in_common_is_refused(land: Land, neighbours: Pair) -> None:
    land.registered(
        land.village.first, land.eligible(land.village, ground(0, 0)), crediting=("2020-01-01", "2030-01-01")
    )
    later = land.eligible(neighbours, ground(0, 0), overlap_reason="neighbour_withdraws")
    project = land.submitted(neighbours.first, later, crediting=("2029-12-31", "2039-12-31"))
    land.validated(project)
    facts = refused(land, project)
    assert (facts["from_on"], facts["to_on"]) == ("2020-01-01", "2030-01-01")


def test_another_programme_waits_until_the_first_claim_ended(land: Land, neighbours: Pair) -> None:
    """Also when its own dates would come after the first claim's."""
    other = land.publish_programme("ZJ-B")
    (mine,) = land.eligible(land.village, ground(0, 0))
    land.registered(land.village.first, [mine], crediting=("2020-01-01", "2030-01-01"))
    (theirs,) = land.eligible(neighbours, ground(0, 0), overlap_reason="neighbour_withdraws")
    late = land.submitted(neighbours.first, [theirs], other, ("2030-01-01", "2040-01-01"))
    soon = land.submitted(neighbours.first, [theirs], other, ("2025-01-01", "2035-01-01"))
    land.validated(late, soon)
    assert refused(land, late)["programme"] == "ZJ-PH.1"
    assert refused(land, soon)["programme"] == "ZJ-PH.1"

    close = CloseParcel(parcel=mine, ended_on="2025-01-01", reason="programme_change")
    land.people.do(land.registry.first, "parcel.close", close)
    land.register(soon)
    first, second = held_claims(land)
    assert (first.status, first.to_on, second.status, second.from_on) == (
        "ended",
        "2025-01-01",
        "active",
        "2025-01-01",
    )
    assert audit(land.people.installation.home).findings == []


def test_a_new_version_of_the_programme_is_no_other_programme(land: Land, neighbours: Pair) -> None:
    newer = land.publish_programme("ZJ-PH", 2)
    land.registered(
        land.village.first, land.eligible(land.village, ground(0, 0)), crediting=("2020-01-01", "2030-01-01")
    )
    later = land.eligible(neighbours, ground(0, 0), overlap_reason="neighbour_withdraws")
    land.registered(neighbours.first, later, newer, ("2030-01-01", "2040-01-01"))


def test_a_claim_does_not_end_outside_its_dates_or_before_what_was_monitored(land: Land) -> None:
    (parcel,) = land.eligible(land.village, ground(0, 0))
    land.registered(land.village.first, [parcel])
    for ended_on in ("2019-12-31", "2040-01-02"):
        close = CloseParcel(parcel=parcel, ended_on=ended_on, reason="owner_request")
        with pytest.raises(ClaimEndRefused):
            land.people.do(land.registry.first, "parcel.close", close)


def test_parcels_of_one_project_exclude_each_other(land: Land, neighbours: Pair) -> None:
    operator = land.people.member(Role.OPERATOR, "两山公司")
    parcels = land.eligible(land.village, ground(0, 0), operator=operator.organisation)
    parcels += land.eligible(
        neighbours, ground(50, 0), overlap_reason="neighbour_withdraws", operator=operator.organisation
    )
    project = land.submitted(operator, parcels)
    land.validated(project)
    facts = refused(land, project)
    assert (facts["candidate"], facts["parcel"], facts["project"]) == (parcels[1], parcels[0], project)
    assert held_claims(land) == []


def test_a_sliver_inside_a_project_is_credited_once(land: Land) -> None:
    parcels = land.eligible(land.village, ground(0, 0), ground(99.8, 0))
    land.registered(land.village.first, parcels)
    first, second = held_claims(land)
    assert first.credited_cm2 - second.credited_cm2 == pytest.approx(200_000, rel=1e-3)


def test_every_overlap_is_named_the_largest_first(land: Land, neighbours: Pair) -> None:
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0), ground(100, 0)))
    parcel = land.eligible(neighbours, ground(70, 0), overlap_reason="neighbour_withdraws")
    project = land.submitted(neighbours.first, parcel)
    land.validated(project)
    facts = refused(land, project)
    assert facts["count"] == 2
    assert [round(one["overlap_m2"], -1) for one in facts["overlaps"]] == [7000, 3000]


def test_a_refused_registration_leaves_no_trace(land: Land, neighbours: Pair) -> None:
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    parcels = [
        *land.eligible(neighbours, ground(500, 0)),
        *land.eligible(neighbours, ground(50, 0), overlap_reason="neighbour_withdraws"),
    ]
    project = land.submitted(neighbours.first, parcels)
    land.validated(project)
    size = land.people.installation.tiles.published_size()
    refused(land, project)
    assert land.people.installation.tiles.published_size() == size
    with land.people.installation.database.read() as session:
        assert load_project(session, project).status == "validated"
        assert load_project(session, project).number is None


def test_numbers_of_projects_run_on(land: Land) -> None:
    numbers = []
    for n in range(3):
        project = land.submitted(land.village.first, land.eligible(land.village, ground(300 * n, 0)))
        land.validated(project)
        numbers.append(land.register(project).answer["number"])
    assert numbers == [1, 2, 3]


def test_registration_needs_two_of_the_registry(land: Land) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    land.validated(project)
    office = land.people.installation.office
    waiting = office.execute(
        land.registry.first,
        "project.register",
        NameProject(project=project),
        "00000000-0000-4000-8000-00000000000a",
    )
    assert waiting.status == "awaiting"
    assert held_claims(land) == []


def test_an_ended_claim_never_comes_back() -> None:
    assert CLAIM.terminal == {"ended"}


# ---- any number of claims, in any order --------------------------------------------------------------------

COMMAND = programme_file()


def _programme(code: str) -> Programme:
    return Programme(id=f"{code}.1", status="published", terms=TERMS.dump_python(COMMAND.terms, mode="json"))


@pytest.fixture(scope="module")
def empty() -> Iterator[Session]:
    """A database in which nobody claims anything yet."""
    database = Database("sqlite://")
    with database.write() as session:
        Base.metadata.create_all(
            session.connection(),
            tables=[
                Base.metadata.tables[n]
                for n in sorted(
                    (
                        "organisation",
                        "programme",
                        "parcel",
                        "parcel_version",
                        "project",
                        "land_claim",
                        "claim_cell",
                        "outside_claim",
                        "outside_claim_cell",
                    )
                )
            ],
        )
        yield session
    database.dispose()


METRES = st.integers(0, 300)
SIDES = st.integers(20, 200)
STARTS = st.integers(2020, 2035)
PLANS = st.lists(
    st.tuples(METRES, METRES, SIDES, SIDES, STARTS, st.integers(1, 15), st.sampled_from(["ZJ-PH", "ZJ-B"])),
    min_size=2,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(plans=PLANS)
def test_whoever_comes_in_whatever_order_no_ground_is_credited_twice_on_one_day(
    empty: Session, plans: list[Any]
) -> None:
    accepted: list[tuple[Claimed, Polygonal, int]] = []
    for order, (x, y, width, height, start, years, code) in enumerate(plans):
        outline = ground(x, y, width, height)
        period = DateRange(f"{start}-01-01", f"{start + years}-01-01")
        verdict = check(
            empty, outline, period, "forest-biomass", _programme(code),
            today="2020-01-01", also=[claim for claim, _, _ in accepted],
        )  # fmt: skip
        shared = [
            claim
            for claim, other, _ in accepted
            if claim.period.meets(period) and _common_m2(outline, other) > 1.0
        ]
        if shared:  # whole metres: never a sliver
            assert not verdict.clear
        if verdict.clear:
            claim = Claimed(
                str(order),
                f"p{order}",
                "project",
                f"{code}.1",
                "forest-biomass",
                period,
                True,
                order,
                outline,
            )
            accepted.append((claim, outline, verdict.credited_cm2))
    for n, (claim, outline, _) in enumerate(accepted):
        for other, other_outline, _ in accepted[:n]:
            assert not claim.period.meets(other.period) or _common_m2(outline, other_outline) <= 1.0


def _common_m2(a: Polygonal, b: Polygonal) -> float:
    """The second opinion: rectangles, so the intersection is a rectangle or nothing."""
    west, south = max(a.bounds[0], b.bounds[0]), max(a.bounds[1], b.bounds[1])
    east, north = min(a.bounds[2], b.bounds[2]), min(a.bounds[3], b.bounds[3])
    if east <= west or north <= south:
        return 0.0
    per_east, per_north = ORIGIN.metres_per_degree()
    return float((east - west) * per_east * (north - south) * per_north)


@settings(max_examples=60, deadline=None)
@given(offsets=st.lists(st.integers(-40, 40), min_size=2, max_size=6))
def test_slivers_are_credited_once_however_many_there_are(empty: Session, offsets: list[int]) -> None:
    """Parcels in a row, borders off by centimetres: no more is credited than there is ground."""
    accepted: list[Claimed] = []
    period, credited = DateRange(*CREDITING), 0
    for n, offset in enumerate(offsets):
        outline = ground(100 * n + offset / 100, 0)
        verdict = check(
            empty, outline, period, "forest-biomass", _programme("ZJ-PH"), today="2020-01-01", also=accepted
        )
        assert verdict.credited_cm2 <= verdict.area_cm2
        if verdict.clear:
            accepted.append(
                Claimed(str(n), str(n), "p", "ZJ-PH.1", "forest-biomass", period, True, n, outline)
            )
            credited += verdict.credited_cm2
    whole = polygonal(shapely.union_all([claim.ground for claim in accepted]))
    assert credited <= area_m2(whole) * 10_000 + len(offsets)


@st.composite
def outlines(draw: st.DrawFn) -> Polygonal:
    """Any outline with corners all around, about a hectare."""
    radii = draw(st.lists(st.floats(15, 120), min_size=3, max_size=12))
    east, north = draw(st.floats(0, 150)), draw(st.floats(0, 150))
    per_east, per_north = ORIGIN.metres_per_degree()
    turns = [2 * math.pi * n / len(radii) for n in range(len(radii))]
    corners = [
        (
            ORIGIN.lon_deg + (east + radius * math.cos(turn)) / per_east,
            ORIGIN.lat_deg + (north + radius * math.sin(turn)) / per_north,
        )
        for radius, turn in zip(radii, turns, strict=True)
    ]
    return canonical(shapely.Polygon(corners))


def _running(
    name: str, outline: Polygonal, order: int = 1, code: str = "ZJ-PH", dates: Any = None
) -> Claimed:
    period = dates or DateRange(*CREDITING)
    return Claimed(name, name, "p", f"{code}.1", "forest-biomass", period, True, order, outline)


def _asked(session: Session, outline: Polygonal, *claims: Claimed, dates: Any = None) -> ClaimVerdict:
    return check(
        session, outline, dates or DateRange(*CREDITING), "forest-biomass", _programme("ZJ-PH"),
        today="2020-01-01", also=claims,
    )  # fmt: skip


@settings(max_examples=60)
@given(one=outlines(), other=outlines())
def test_the_answer_is_the_same_from_both_sides(empty: Session, one: Polygonal, other: Polygonal) -> None:
    ours, theirs = _asked(empty, one, _running("o", other)), _asked(empty, other, _running("o", one))
    for mine, yours in zip((*ours.refused, *ours.slivers), (*theirs.refused, *theirs.slivers), strict=True):
        assert mine.overlap.kind is yours.overlap.kind
        assert mine.overlap.area_m2 == yours.overlap.area_m2
        assert mine.overlap.candidate_share == yours.overlap.neighbour_share
    assert ours.area_cm2 - ours.credited_cm2 == theirs.area_cm2 - theirs.credited_cm2


@settings(max_examples=60)
@given(outline=outlines(), factor=st.floats(0.05, 0.95))
def test_what_lies_inside_is_found_whole(empty: Session, outline: Polygonal, factor: float) -> None:
    """D13: 100 % of the smaller, however large the larger is; outlines with corners all around hold their
    own image.
    """
    middle = (ORIGIN.lon_deg, ORIGIN.lat_deg)
    around = canonical(polygonal(affinity.scale(shapely.convex_hull(outline), 3, 3, origin=middle)))
    inside = canonical(polygonal(affinity.scale(around, factor, factor, origin=shapely.centroid(around))))
    for candidate, neighbour in ((inside, around), (around, inside)):
        (found,) = _asked(empty, candidate, _running("n", neighbour)).refused
        smaller = found.overlap.candidate_share if candidate is inside else found.overlap.neighbour_share
        assert smaller == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=60)
@given(drawn=st.lists(outlines(), min_size=2, max_size=8), shift=st.integers(0, 60))
def test_whatever_is_accepted_no_more_is_credited_than_there_is_ground(
    empty: Session, drawn: list[Polygonal], shift: int
) -> None:
    """Any outlines, and for each a copy that lies beside it, off by centimetres."""
    per_east, _ = ORIGIN.metres_per_degree()
    accepted: list[Claimed] = []
    credited = 0
    for n, outline in enumerate(drawn):
        west, _, east, _ = outline.bounds
        beside = affinity.translate(outline, east - west - shift / 100 / per_east)
        for m, candidate in enumerate((outline, canonical(polygonal(beside)))):
            verdict = _asked(empty, candidate, *accepted)
            if verdict.clear:
                accepted.append(_running(f"{n}.{m}", candidate, 2 * n + m))
                credited += verdict.credited_cm2
    whole = shapely.union_all([claim.ground for claim in accepted])
    assert credited <= area_m2(polygonal(whole)) * 10_000 + 2 * len(accepted)


def test_less_than_an_overlap_is_not_credited_twice_either(empty: Session) -> None:
    """A square metre with each of many neighbours is ground too."""
    first = _running("first", ground(0, 0))
    verdict = _asked(empty, ground(99.995, 0), first)
    assert verdict.slivers == verdict.refused == ()
    given_up = verdict.area_cm2 - verdict.credited_cm2  # corners are kept to 0.1 mm
    assert given_up == pytest.approx(5_000, abs=150)


def test_another_programme_does_not_claim_the_days_before_either(empty: Session) -> None:
    """It would then hold the ground itself, against the one who came first."""
    first = _running("first", ground(0, 0), code="ZJ-B", dates=DateRange("2025-01-01", "2045-01-01"))
    before = _asked(empty, ground(0, 0), first, dates=DateRange("2010-01-01", "2025-01-01"))
    assert not before.clear
    same = _running("first", ground(0, 0), dates=DateRange("2025-01-01", "2045-01-01"))
    assert _asked(empty, ground(0, 0), same, dates=DateRange("2010-01-01", "2025-01-01")).clear


def test_a_claim_that_ended_on_its_first_day_holds_nothing(empty: Session) -> None:
    never = _running("never", ground(0, 0), code="ZJ-B", dates=DateRange("2025-01-01", "2025-01-01"))
    assert _asked(empty, ground(0, 0), never).clear


def test_a_refusal_draws_the_ground_that_is_claimed_already(land: Land, neighbours: Pair) -> None:
    """RFC 7946, and no more of the neighbour than lies on the candidate's ground."""
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    mine = ground(40, 0)
    project = land.submitted(
        neighbours.first, land.eligible(neighbours, mine, overlap_reason="neighbour_withdraws")
    )
    land.validated(project)
    facts = refused(land, project)
    drawn = polygonal(shapely.geometry.shape(facts["overlap"]))
    assert isinstance(drawn, shapely.Polygon)
    assert facts["overlap"]["type"] == "Polygon"
    assert drawn.exterior.is_ccw
    assert area_m2(drawn) == pytest.approx(facts["overlap_m2"], rel=1e-4)
    assert shapely.area(shapely.difference(drawn, shapely.buffer(mine, 1e-7))) == 0
    assert facts["overlaps"][0]["overlap"] == facts["overlap"]


def test_the_command_line_tells_the_overlap_too(
    land: Land, neighbours: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    parcel = land.eligible(neighbours, ground(40, 0), overlap_reason="neighbour_withdraws")
    project = land.submitted(neighbours.first, parcel)
    land.validated(project)
    monkeypatch.setattr(command_line, "app", lambda: land.register(project))
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    told, drawn = capsys.readouterr().err.splitlines()[-2:]
    assert "a share of 0.6 and 0.6 of the other" in told
    assert json.loads(drawn)["type"] == "Polygon"


def test_an_outline_of_too_many_vertices_is_left_out_and_it_is_said() -> None:
    round_one = shapely.Point(118.8, 29).buffer(0.001, quad_segs=400)
    drawn = Outlines()
    assert drawn.facts(polygonal(round_one))["overlap"]["type"] == "Polygon"
    assert drawn.facts(polygonal(round_one)) == {"overlap": None, "overlap_left_out": 1601}
