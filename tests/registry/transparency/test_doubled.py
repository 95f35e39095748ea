"""The whole register at once: ground that is claimed twice, whatever let it in."""

import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from geo.polygon import Polygonal, to_wkb
from registry.cli import app
from registry.database import Database
from registry.installation import Installation
from registry.machine import Role
from registry.parcels.models import Parcel, ParcelVersion
from registry.projects.models import LandClaim
from registry.transparency.doubled import audit_land, forget_stale
from tests.registry.land import Land, ground
from tests.registry.people import People


@pytest.fixture
def land(people: People, tmp_path: object) -> Land:
    from pathlib import Path

    return Land(people, Path(str(tmp_path)))


def planted(database: Database, like: str, outlines: list[Polygonal]) -> list[str]:
    """Parcels and claims that nobody checked, written behind the services' back; their ids."""
    names = [f"planted-{n}" for n in range(len(outlines))]
    with database.write() as session:
        claim = session.scalars(sa.select(LandClaim).where(LandClaim.parcel_id == like)).one()
        for table, keys in (
            (Parcel, {"id": like}),
            (ParcelVersion, {"parcel_id": like}),
            (LandClaim, {"id": claim.id}),
        ):
            row = session.execute(sa.select(table.__table__).filter_by(**keys)).mappings().one()
            session.execute(
                sa.insert(table),
                [
                    {
                        **row,
                        **({"parcel_id": name} if "parcel_id" in row else {}),
                        **({"id": name} if "id" in row else {}),
                        **({"wkb": to_wkb(outline), "commitment": name} if "wkb" in row else {}),
                    }
                    for name, outline in zip(names, outlines, strict=True)
                ],
            )
    return names


def test_five_planted_double_registrations_are_all_found_and_a_clean_register_gives_nothing(
    land: Land, installation: Installation
) -> None:
    squares = [ground(300 * n, 0) for n in range(5)]
    parcels = land.eligible(
        land.village, *squares, ground(100, 0), ground(0, 99.8)
    )  # one touches, one slivers
    land.registered(land.village.first, parcels)
    cache = installation.home.cache
    with installation.database.read() as session:
        clean = audit_land(session, cache)
        assert (clean.doubled, clean.parcels, clean.outlines, clean.claims) == ([], [], 7, 7)
        assert clean.built
        assert not audit_land(session, cache).built
        assert forget_stale(session, cache) == []

    moved = [ground(300 * n + 30, 0) for n in range(5)]
    names = planted(installation.database, parcels[0], moved)
    with installation.database.read() as session:
        found = audit_land(session, cache)
    assert found.built  # the register has changed
    assert found.lit_cells > 0
    pairs = {frozenset((one["parcel"], one["other"])) for one in found.doubled}
    assert {frozenset(pair) for pair in zip(parcels, names, strict=False)} <= pairs
    assert {one["rule"] for one in found.doubled} == {"overlap-2026"}

    (kept,) = cache.iterdir()
    kept.write_bytes(b"damaged")
    with installation.database.read() as session:
        again = audit_land(session, cache)
    assert again.built
    assert again.doubled == found.doubled

    with installation.database.write() as session:
        session.get_one(ParcelVersion, (parcels[0], 1)).wkb = None
    with installation.database.read() as session:
        assert forget_stale(session, cache) == [kept]
    assert not kept.exists()


def test_two_on_the_same_ground_are_told_of_and_are_no_double_claim(
    land: Land, installation: Installation
) -> None:
    """Review let the second go on; it has no claim."""
    neighbours = land.pair(Role.COLLECTIVE, "乙村")
    first = land.eligible(land.village, ground(0, 0))
    land.registered(land.village.first, first)
    second = land.eligible(neighbours, ground(50, 0), overlap_reason="neighbour_withdraws")
    with installation.database.read() as session:
        found = audit_land(session, installation.home.cache)
    assert found.doubled == []
    (pair,) = found.parcels
    assert {pair["parcel"], pair["other"]} == {*first, *second}


def test_the_command_says_so_and_fails_when_ground_is_claimed_twice(
    land: Land, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = installation.home
    monkeypatch.setenv("TANHUI_DATABASE_URL", home.database_url)
    (parcel,) = land.eligible(land.village, ground(0, 0))
    land.registered(land.village.first, [parcel])
    command = ["land", "audit", "--home", str(home.path), "--json"]
    clean = CliRunner().invoke(app, command)
    assert (clean.exit_code, json.loads(clean.stdout)["claimed_twice"]) == (0, [])
    (name,) = planted(installation.database, parcel, [ground(20, 20)])
    wrong = CliRunner().invoke(app, command)
    assert wrong.exit_code == 1
    (found,) = json.loads(wrong.stdout)["claimed_twice"]
    assert {found["parcel"], found["other"]} == {parcel, name}
