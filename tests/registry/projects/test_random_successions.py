"""Whatever parcels become of a parcel, on no day more of its ground is credited than there is."""

from itertools import combinations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from geo.polygon import OverlapKind, from_wkb, overlap
from registry.parcels.ground import overlap_rule
from registry.parcels.life import ancestors, successors
from registry.parcels.models import ParcelVersion
from registry.programmes.service import programme_file
from registry.projects.rules import DateRange
from registry.projects.service import project_claims
from tests.registry.life import approve, draft, green, part, proposal, propose
from tests.registry.story import Story

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])

MOVES = st.lists(
    st.tuples(st.sampled_from(["split", "merge", "boundary"]), st.integers(0, 9), st.floats(0.3, 0.7)),
    min_size=3,
    max_size=4,
)


class Heirs:
    """The parcels on a village's square, west to east, each with its sides as shares of the square."""

    def __init__(self, story: Story, square: int) -> None:
        self.story, self.year, self.square = story, 2024, square
        self.village = story.villages[square]
        self.on = [(story.parcels[square], 0.0, 1.0)]
        self.ever = [story.parcels[square]]

    def move(self, kind: str, which: int, share: float) -> None:
        n = which % len(self.on)
        if kind == "merge" and len(self.on) > 1:
            n = min(n, len(self.on) - 2)
            self._succeed("merge", n, 2, [(self.on[n][1], self.on[n + 1][2])])
            return
        n = len(self.on) - 1 if kind == "boundary" else n  # the outer side, so that no gap is left inside
        _, west, east = self.on[n]
        at = west + share * (east - west)
        if kind == "boundary":
            self._succeed("boundary", n, 1, [(west, west + 0.99 * (east - west))])
        else:
            self._succeed("split", n, 1, [(west, at), (at, east)])

    def _succeed(self, kind: str, n: int, count: int, sides: list[tuple[float, float]]) -> None:
        old = [parcel for parcel, _, _ in self.on[n : n + count]]
        new = [draft(self.story, self.village, part(west, east, self.square)) for west, east in sides]
        command = proposal(self.story, kind, old, new, f"{self.year}-01-01")
        approve(self.story, propose(self.story, command, self.village))
        self.on[n : n + count] = [(one, *side) for one, side in zip(new, sides, strict=True)]
        self.ever += new
        self.year += 1


def check_claims(story: Story, heirs: Heirs) -> None:
    """No two claims have ground and days in common; credited ground is never more than there was."""
    rule = overlap_rule(programme_file().terms)
    with story.installation.database.read() as session:
        claims = [one for one in project_claims(session, story.project_id) if one.parcel_id in heirs.ever]
        versions = {one: session.get_one(ParcelVersion, (one, 1)) for one in heirs.ever}
        grounds = {one: from_wkb(version.wkb) for one, version in versions.items() if version.wkb}
        for one, other in combinations(claims, 2):
            if DateRange(one.from_on, one.to_on).meets(DateRange(other.from_on, other.to_on)):
                found = overlap(grounds[one.parcel_id], grounds[other.parcel_id], rule)
                assert found.kind is OverlapKind.NONE
        whole = versions[heirs.ever[0]].area_cm2
        for year in range(2024, heirs.year + 2):
            day = f"{year}-06-30"
            credited = sum(one.credited_cm2 for one in claims if one.from_on <= day < one.to_on)
            assert credited <= whole + len(heirs.on)
        for parcel in heirs.ever:
            after = [one for one in successors(session, parcel) if one.predecessor_id == parcel]
            assert sum(one.share_ppm for one in after) == (1_000_000 if after else 0)
            before = {one.predecessor_id for one in ancestors(session, parcel)}
            assert (heirs.ever[0] in before) == (parcel != heirs.ever[0])


def test_nothing_is_credited_twice_through_any_succession(story: Story) -> None:
    """A life of its own for each village."""
    squares = iter(range(len(story.villages)))

    @settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(MOVES)
    def holds(moves: list[tuple[str, int, float]]) -> None:
        heirs = Heirs(story, next(squares))
        heirs.move("split", 0, 0.4)
        for kind, which, share in moves:
            heirs.move(kind, which, share)
        check_claims(story, heirs)

    holds()
    green(story)
