"""Shares of cells from a store that is not believed.

Its digests find what is damaged, not what somebody wrote on purpose: a file with wrong shares and right
digests would move kilograms to where he wants them. So with each run some of its parcels, drawn anew each
time, are computed beside what is kept. Who computes the run again (`tanhui recompute`) uses no store at all.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import Final

from geo.coverage import Coverage
from geo.coverage_store import CoverageStore
from geo.crs import Polygonal
from geo.raster import Grid
from geo.work import Progress, Workers

DRAWN: Final = 100
"""Parcels that are computed beside: all of a small project."""
_log: Final = logging.getLogger(__name__)


def kept_shares(
    store: CoverageStore,
    outlines: Sequence[Polygonal],
    keys: Sequence[str],
    grid: Grid,
    *,
    workers: Workers | int,
    progress: Progress | None,
) -> Coverage:
    """The coverage of a run's parcels. Where one that was drawn differs by a bit, all that the store holds of
    these parcels is made anew. Raises what `CoverageStore.coverage` does.
    """
    found = store.coverage(outlines, keys, grid, workers=workers, progress=progress)
    wrong = store.verify(outlines, keys, grid, sample=DRAWN, seed=secrets.randbits(63)).wrong
    if not wrong:
        return found
    _log.error("kept shares of %d parcels were not theirs; those of %d are made anew", len(wrong), len(keys))
    store.forget(keys)
    return store.coverage(outlines, keys, grid, workers=workers, progress=progress)
