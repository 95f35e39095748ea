"""Whether ground is covered twice anywhere in the register: all live parcels, all running claims, all claims
in outside registries, at once (`geo.doubled`).

The shares of cells are a cache in the home, found by a digest of the outlines' commitments: it may be
deleted, and is made again when the register has changed. What is lit is judged exactly. Two live parcels on
the same ground were explained in review or are a fault of the survey; two claims on it, in one pool on one
day, are a double registration, whatever let them in.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.coverage import Coverage
from geo.doubled import NATIONAL, Doubled, judge_lit, light_up, national_coverage, near, off_grid
from geo.errors import CoverageUnreadable
from geo.polygon import OverlapRule, Polygonal, from_wkb
from registry.parcels.ground import in_chunks, overlap_facts
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.rules import LIVE
from registry.projects.models import LandClaim, OutsideClaim
from registry.projects.rules import DateRange

RULE: Final = OverlapRule()
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Outline:
    """A version of a parcel, or an outside claim's ground (version 0); what of it runs."""

    name: str
    version: int
    commitment: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """A claim that runs: here or, without a project, in another registry."""

    claim: str
    project: str | None
    pools: frozenset[str]
    dates: DateRange


@dataclass(slots=True)
class LandAudit:
    """What was looked at and what is covered twice: pairs of parcels, and pairs of claims."""

    outlines: int = 0
    claims: int = 0
    lit_cells: int = 0
    judged: int = 0
    erased: int = 0
    built: bool = False
    parcels: list[dict[str, Any]] = field(default_factory=list)
    doubled: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "outlines": self.outlines,
            "claims": self.claims,
            "lit_cells": self.lit_cells,
            "judged_pairs": self.judged,
            "erased_outlines": self.erased,
            "index_built": self.built,
            "parcels_on_same_ground": self.parcels,
            "claimed_twice": self.doubled,
        }


def audit_land(
    session: Session, cache: Path, *, workers: int = os.cpu_count() or 1, progress: Progress | None = None
) -> LandAudit:
    """Look for ground that is covered twice; `cache` is a folder of the home for the shares of cells."""
    say = progress or (lambda _step, _done, _total: None)
    say("read", 0, 3)
    outlines, erased = _outlines(session)
    holdings = _holdings(session)
    found = LandAudit(len(outlines), sum(map(len, holdings.values())), erased=erased)
    say("index", 1, 3)
    coverage, found.built = _coverage(session, cache, outlines, workers)
    say("sum", 2, 3)
    lit = light_up(coverage, workers=workers)
    found.lit_cells, pairs = lit.cells, lit.pairs
    if len(outside := off_grid(coverage)):
        pairs = np.unique(np.concatenate([pairs, near(outside, _grounds(session, outlines))]), axis=0)
    pairs = np.array(
        [(a, b) for a, b in pairs.tolist() if outlines[a].name != outlines[b].name], dtype=np.int64
    ).reshape(-1, 2)
    found.judged = len(pairs)
    wanted = sorted({int(n) for n in pairs.ravel()})
    grounds = dict(zip(wanted, _grounds(session, [outlines[n] for n in wanted]), strict=True))
    for one in judge_lit(pairs, grounds.__getitem__, RULE):
        _keep(found, one, outlines, holdings)
    say("sum", 3, 3)
    return found


def _keep(
    found: LandAudit,
    one: Doubled,
    outlines: Sequence[Outline],
    holdings: Mapping[tuple[str, int], list[Holding]],
) -> None:
    first, second = outlines[one.one], outlines[one.other]
    shared = overlap_facts(one.overlap)
    if first.live and second.live:
        found.parcels.append({"parcel": first.name, "other": second.name, **shared})
    for mine in holdings.get((first.name, first.version), []):
        for yours in holdings.get((second.name, second.version), []):
            if mine.project is None and yours.project is None:
                continue  # between other registries we do not judge
            if mine.pools & yours.pools and mine.dates.meets(yours.dates):
                names = {"parcel": first.name, "other": second.name}
                found.doubled.append({**names, "claim": mine.claim, "other_claim": yours.claim, **shared})


# ---- the register ------------------------------------------------------------------------------------------


def _outlines(session: Session) -> tuple[list[Outline], int]:
    """Every outline that counts, in the order of its name; and how many are erased."""
    columns = (ParcelVersion.commitment, ParcelVersion.wkb.is_(None))
    live = (
        sa.select(ParcelVersion.parcel_id, ParcelVersion.version, *columns, sa.true())
        .join(Parcel, sa.and_(Parcel.id == ParcelVersion.parcel_id, Parcel.version == ParcelVersion.version))
        .where(Parcel.status.in_(LIVE))
    )
    claimed_else = (
        sa.select(ParcelVersion.parcel_id, ParcelVersion.version, *columns, sa.false())
        .join(
            LandClaim,
            sa.and_(
                LandClaim.parcel_id == ParcelVersion.parcel_id,
                LandClaim.parcel_version == ParcelVersion.version,
            ),
        )
        .join(Parcel, Parcel.id == ParcelVersion.parcel_id)
        .where(
            LandClaim.status == "active",
            sa.or_(Parcel.status.not_in(LIVE), Parcel.version != ParcelVersion.version),
        )
        .distinct()
    )
    outside = sa.select(
        OutsideClaim.id, sa.literal(0), OutsideClaim.commitment, OutsideClaim.wkb.is_(None), sa.false()
    ).where(OutsideClaim.status == "declared")
    rows = [row for wanted in (live, claimed_else, outside) for row in session.execute(wanted)]
    kept = [Outline(name, version, keyed, bool(on)) for name, version, keyed, gone, on in rows if not gone]
    return sorted(kept, key=lambda one: (one.name, one.version)), len(rows) - len(kept)


def _holdings(session: Session) -> dict[tuple[str, int], list[Holding]]:
    """What is claimed on each outline."""
    found: dict[tuple[str, int], list[Holding]] = {}
    running = sa.select(
        LandClaim.parcel_id, LandClaim.parcel_version, LandClaim.id, LandClaim.project_id, LandClaim.pool,
        LandClaim.from_on, LandClaim.to_on,
    ).where(LandClaim.status == "active")  # fmt: skip
    for parcel, version, claim, project, pool, from_on, to_on in session.execute(running):
        held = Holding(claim, project, frozenset((pool,)), DateRange(from_on, to_on))
        found.setdefault((parcel, version), []).append(held)
    declared = sa.select(OutsideClaim.id, OutsideClaim.pools, OutsideClaim.from_on, OutsideClaim.to_on)
    for claim, pools, from_on, to_on in session.execute(declared.where(OutsideClaim.status == "declared")):
        found[claim, 0] = [Holding(claim, None, frozenset(pools.split(",")), DateRange(from_on, to_on))]
    return found


def _grounds(session: Session, outlines: Sequence[Outline]) -> list[Polygonal]:
    """The outlines themselves, in their order."""
    found: dict[tuple[str, int], bytes] = {}
    parcels = sorted({one.name for one in outlines if one.version})
    for some in in_chunks(parcels):
        rows = session.execute(
            sa.select(ParcelVersion.parcel_id, ParcelVersion.version, ParcelVersion.wkb).where(
                ParcelVersion.parcel_id.in_(some)
            )
        )
        found.update({(parcel, version): wkb for parcel, version, wkb in rows if wkb is not None})
    for some in in_chunks(sorted({one.name for one in outlines if not one.version})):
        for name, wkb in session.execute(
            sa.select(OutsideClaim.id, OutsideClaim.wkb).where(OutsideClaim.id.in_(some))
        ):
            if wkb is not None:
                found[name, 0] = wkb
    return [from_wkb(found[one.name, one.version]) for one in outlines]


# ---- the cache ---------------------------------------------------------------------------------------------


def _coverage(
    session: Session, cache: Path, outlines: Sequence[Outline], workers: int
) -> tuple[Coverage, bool]:
    """The shares of cells of these outlines, as they are kept or made now; and whether they were made."""
    path = _kept_in(cache, outlines)
    if path.exists():
        try:
            return Coverage.load(path), False
        except CoverageUnreadable:
            path.unlink()
    coverage = national_coverage(_grounds(session, outlines), workers=workers)
    cache.mkdir(parents=True, exist_ok=True)
    for stale in cache.glob("coverage-*.npz"):
        stale.unlink(missing_ok=True)
    coverage.save(path)
    return coverage, True


def forget_stale(session: Session, cache: Path) -> list[Path]:
    """Remove shares of outlines of which one was erased or changed; which files."""
    files = list(cache.glob("coverage-*.npz"))
    if not files:
        return []
    current = _kept_in(cache, _outlines(session)[0])
    stale = [file for file in files if file != current]
    for file in stale:
        file.unlink(missing_ok=True)
    return stale


def _kept_in(cache: Path, outlines: Sequence[Outline]) -> Path:
    return cache / f"coverage-{_digest(outlines)}.npz"


def _digest(outlines: Sequence[Outline]) -> str:
    """Of the register's outlines, by their commitments, and of the grid."""
    told = hashlib.sha256(repr(sorted(NATIONAL.as_dict().items())).encode())
    for line in _lines(outlines):
        told.update(line)
    return told.hexdigest()[:32]


def _lines(outlines: Sequence[Outline]) -> Iterator[bytes]:
    for one in outlines:
        yield f"{one.name}/{one.version}/{one.commitment}\n".encode()
