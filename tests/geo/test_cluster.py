"""The same numbers on other machines: a real scheduler and real workers, one of which is killed at work."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geo.cluster import DaskWorkers, workers_for
from geo.coverage import Coverage, cover_parcels
from geo.elsewhere import compare, computing_with, packages_of
from geo.errors import (
    ClusterAddressRefused,
    ClusterDiffers,
    ClusterUnreachable,
    ClusterWithoutWorkers,
    ClusterWorkersLost,
    GeoRefusal,
    RasterBandMissing,
    WorkerFileDiffers,
    WorkerFileMissing,
)
from geo.raster import Grid, RasterSource, write_geotiff
from geo.work import Threads, Workers
from geo.zonal import Layer, Mask, zonal_sums_of
from geo.zonal_errors import ErrorLayer, error_sums
from tests.geo.shapes import stand
from tests.geo.tasks import PATIENCE_S, doubled, faulty, held, name_of, refused, suicide, unsendable
from tests.machines import CHECKOUT, Machines

GRID = Grid("EPSG:4490", 118.80, 29.00, 0.0003, 0.00025, 1_100, 700)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """A scheduler and two workers."""
    with Machines() as running:
        running.worker()
        running.worker()
        yield running


@pytest.fixture(scope="module")
def cluster(machines: Machines) -> Iterator[DaskWorkers]:
    with DaskWorkers(machines.address, wait_s=PATIENCE_S) as workers:
        workers._client.wait_for_workers(2, timeout=PATIENCE_S)
        yield workers


@pytest.fixture(scope="module")
def biomass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Densities with gaps, in blocks that several parcels share."""
    rng = np.random.default_rng(5)
    values = rng.gamma(4, 30, (GRID.height, GRID.width)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = 13
    values[rng.random(values.shape) < 0.05] = -9999
    path = tmp_path_factory.mktemp("raster") / "biomass.tif"
    write_geotiff(path, values, GRID, nodata=-9999)
    return path


PARCELS = [
    stand(118.81 + 0.31 * n / 300, 28.84 + 0.15 * ((n * 7) % 300) / 300, 0.001, n, hole=n % 5 == 0)
    for n in range(300)
]


def measured(workers: Workers, raster: RasterSource) -> list[bytes]:
    """All bits of a coverage, of sums over it and of their errors."""
    coverage: Coverage = cover_parcels(PARCELS, GRID, workers=workers)
    share = Mask(raster, (1, 2, 3, 5, 8, 13))
    layers = [Layer(raster, spread=True), Layer(raster, masks=(share,)), Layer(raster, spread=True)]
    arrays = [*coverage.arrays().values()]
    for sums in zonal_sums_of(coverage, layers, workers=workers):
        arrays += [sums.total, sums.measured_m2, sums.area_m2]
        arrays += [array for array in (sums.minimum, sums.maximum, sums.variance) if array is not None]
    errors = error_sums(coverage, ErrorLayer(raster, masks=(share,), relative=0.2), workers=workers)
    arrays += [errors.linear, errors.squares, errors.standard_error(0.3)]
    assert len(arrays) == len(coverage.arrays()) + 18
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def wait_for(file: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < end, f"no {file.name}"
        time.sleep(0.02)


@contextmanager
def connected(
    machines: Machines, cluster: DaskWorkers, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """One more worker, which the scheduler knows already; in the end it knows that there is none."""
    before = workers_of_now(cluster)
    worker = machines.worker(nanny=False, **environment)
    try:
        cluster._client.wait_for_workers(before + 1, timeout=PATIENCE_S)
        yield worker
    finally:
        machines.end(worker)
        end = time.monotonic() + PATIENCE_S
        while workers_of_now(cluster) > before and time.monotonic() < end:
            time.sleep(0.02)


def workers_of_now(cluster: DaskWorkers) -> int:
    return int(cluster._client.scheduler_info(n_workers=0)["n_workers"])


@contextmanager
def held_back(
    cluster: DaskWorkers, task: Callable[[Any], Any], items: Sequence[Any], folder: Path
) -> Iterator[Future[list[Any]]]:
    """Work that goes on beside the test and does not end before it: `go` is said when the test is through,
    whatever came of it.
    """
    with ThreadPoolExecutor(1) as beside:
        found = beside.submit(lambda: list(cluster.map(task, items, step="chunks")))
        try:
            yield found
        finally:
            (folder / "go").touch()


# ---- the same numbers --------------------------------------------------------------------------------------


def test_a_cluster_gives_the_bits_of_this_process(cluster: DaskWorkers, biomass: Path) -> None:
    with RasterSource.open(biomass) as raster:
        alone = measured(Threads(1), raster)
        assert measured(Threads(2), raster) == alone
        assert measured(cluster, raster) == alone


def test_results_come_in_the_order_of_the_items_and_are_told(cluster: DaskWorkers) -> None:
    heard: list[tuple[str, int, int]] = []
    results = cluster.map(doubled, range(9), step="double", progress=lambda *one: heard.append(one))
    assert list(results) == [2 * n for n in range(9)]
    assert heard == [("double", done, 9) for done in range(10)]
    assert list(cluster.map(doubled, [])) == []


class Counted(Sequence[int]):
    """Items that know how many of them were taken."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: int) -> int:  # type: ignore[override]
        self.taken = max(self.taken, at + 1)
        return at


def test_a_province_is_not_sent_at_once(cluster: DaskWorkers) -> None:
    items = Counted(5_000)
    results = cluster.map(doubled, items)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert items.taken <= 10
    results.close()  # type: ignore[attr-defined]


# ---- a worker dies -----------------------------------------------------------------------------------------


def test_what_a_killed_worker_had_begun_is_done_by_another_with_the_same_bits(
    machines: Machines, cluster: DaskWorkers, tmp_path: Path
) -> None:
    """It is killed while it is in the middle of an item: it has said so, and cannot go on before it dies."""
    chunks = [PARCELS[n : n + 25] for n in range(0, 300, 25)]
    expected = [cover_parcels(chunk, GRID).cell_share.tobytes() for chunk in chunks]
    task = partial(held, partial(cover_parcels, grid=GRID), tmp_path)
    with connected(machines, cluster) as victim, held_back(cluster, task, chunks, tmp_path) as found:
        wait_for(tmp_path / f"taken-{victim.pid}")
        assert not found.done()
        machines.end(victim, signal.SIGKILL)
    assert [coverage.cell_share.tobytes() for coverage in found.result()] == expected
    takers = {file.name: len(file.read_text().split()) for file in tmp_path.glob("taken-*")}
    assert sum(takers.values()) > len(chunks), "what the victim had taken was taken again"


def test_who_joins_during_a_long_item_is_given_work_at_once(
    machines: Machines, cluster: DaskWorkers, tmp_path: Path
) -> None:
    """Two workers have two items each, of which none ends before the third has come."""
    items, task = Counted(40), partial(held, doubled, tmp_path)
    others = DaskWorkers(machines.address, wait_s=PATIENCE_S)
    with others, held_back(others, task, items, tmp_path) as found:
        while items.taken < 4 and not found.done():
            time.sleep(0.02)
        with connected(machines, cluster) as late:
            wait_for(tmp_path / f"taken-{late.pid}")
            while items.taken < 6 and not found.done():
                time.sleep(0.02)
            assert items.taken == 6
            assert not found.done()
            (tmp_path / "go").touch()
            assert found.result(PATIENCE_S) == [2 * n for n in range(40)]


@pytest.mark.slow
def test_an_item_that_kills_workers_is_named_and_a_cluster_without_workers_is_left() -> None:
    """With a scheduler that gives an item up at the first death (it is the fourth by default)."""
    with Machines({"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}) as own:
        began = time.monotonic()
        with pytest.raises(ClusterWithoutWorkers) as nobody:
            DaskWorkers(own.address, wait_s=0.5)
        assert time.monotonic() - began < 10
        assert nobody.value.facts == {"address": own.address, "seconds": 0.5}
        own.worker()
        with DaskWorkers(own.address) as workers:
            workers._wait_s = 0.5
            with pytest.raises(ClusterWorkersLost) as lost:
                list(workers.map(suicide, [7], step="coverage"))
            assert lost.value.facts == {"count": 1, "step": "coverage", "task": 1, "total": 1}
            with pytest.raises(ClusterWithoutWorkers):
                list(workers.map(doubled, range(3)))
            machines_gone = threading.Timer(1.0, own.end, (own.scheduler,))
            workers._wait_s = PATIENCE_S
            machines_gone.start()
            with pytest.raises(ClusterUnreachable):
                list(workers.map(doubled, range(3)))


# ---- refusals ----------------------------------------------------------------------------------------------


def test_what_a_task_refuses_arrives_as_itself_and_is_tried_once(
    cluster: DaskWorkers, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    done: list[int] = []
    with pytest.raises(RasterBandMissing) as refusal:
        done.extend(cluster.map(partial(refused, trace), range(4)))
    assert refusal.value.code == "raster_band_missing"
    assert refusal.value.facts == {"name": "biomass.tif", "bands": 1, "band": 3}
    assert str(refusal.value) == "The raster biomass.tif has 1 bands; band 3 was asked for."
    assert not hasattr(refusal.value, "__notes__")
    assert sorted(trace.read_text().split()) == ["0", "1", "2", "3"]


def test_a_fault_of_a_task_arrives_with_the_place_where_it_happened(cluster: DaskWorkers) -> None:
    with pytest.raises(ZeroDivisionError) as fault:
        list(cluster.map(faulty, [1, 0]))
    assert "On the worker" in fault.value.__notes__[0] and "in faulty" in fault.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Unsendable: left right"):
        list(cluster.map(unsendable, [1]))


def test_a_raster_that_is_another_file_on_the_worker_is_refused(
    cluster: DaskWorkers, biomass: Path, tmp_path: Path
) -> None:
    own = tmp_path / "biomass.tif"
    shutil.copyfile(biomass, own)
    with RasterSource.open(own) as raster:
        expected = raster.sha256
        assert list(cluster.map(name_of, [raster] * 3)) == ["biomass.tif"] * 3
        with own.open("r+b") as file:
            file.seek(-1, 2)
            last = file.read(1)[0]
            file.seek(-1, 2)
            file.write(bytes([last ^ 1]))
        with pytest.raises(WorkerFileDiffers) as differs:
            list(cluster.map(name_of, [raster] * 3))
        own.unlink()
        with pytest.raises(WorkerFileMissing) as missing:
            list(cluster.map(name_of, [raster]))
    host = socket.gethostname()
    assert differs.value.facts["path"] == missing.value.facts["path"] == str(own)
    assert differs.value.facts["expected"] == expected != differs.value.facts["found"]
    assert str(differs.value.facts["host"]).startswith(host)
    assert str(missing.value.facts["host"]).startswith(host)


def test_a_worker_with_other_code_is_refused_before_it_does_anything(
    machines: Machines, cluster: DaskWorkers, tmp_path: Path
) -> None:
    """Its package has one line more than ours. Who was connected before it came is told, too."""
    shutil.copytree(CHECKOUT / "geo", tmp_path / "geo", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "geo" / "crs.py").open("a") as file:
        file.write("\n# another release\n")
    with connected(machines, cluster, PYTHONPATH=f"{tmp_path}:{CHECKOUT}"):
        with pytest.raises(ClusterDiffers) as early:
            DaskWorkers(machines.address, wait_s=PATIENCE_S)
        with pytest.raises(ClusterDiffers) as late:
            list(cluster.map(doubled, range(200)))
    for refusal in (early.value, late.value):
        assert refusal.facts["what"] == "code of geo"
        assert refusal.facts["ours"] == computing_with()["code of geo"] != refusal.facts["theirs"]


def test_other_libraries_are_told_by_name_and_both_versions() -> None:
    ours = computing_with()
    compare("host-2", ours, ours)
    with pytest.raises(ClusterDiffers, match="host-2 has numpy") as refusal:
        compare("host-2", {**ours, "numpy": "2.3.0", "arithmetic": "0"}, ours)
    assert refusal.value.facts["ours"] == np.__version__
    with pytest.raises(ClusterDiffers, match="missing"):
        compare("host-2", {what: value for what, value in ours.items() if what != "numba"}, ours)
    assert {"python", "numpy", "geos", "pyproj", "code of geo", "arithmetic"} <= set(ours)
    assert packages_of(partial(partial(doubled), 1)) == ("geo", "tests")


@pytest.mark.parametrize(
    "address",
    [
        "tcp://192.0.2.7:8786",
        "http://127.0.0.1:8786",
        "127.0.0.1:8786",
        "tls://scheduler",
        "tcp://127.0.0.1:http",
        "",
    ],
)
def test_a_scheduler_in_the_open_is_refused(address: str) -> None:
    with pytest.raises(ClusterAddressRefused):
        DaskWorkers(address)


def test_where_nobody_answers_is_said_in_time() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ClusterUnreachable) as refusal:
            DaskWorkers(address, wait_s=0.5)
    assert time.monotonic() - began < 10
    assert refusal.value.facts["address"] == address
    with pytest.raises(ClusterUnreachable, match="no certificate"):
        DaskWorkers(address.replace("tcp", "tls"), wait_s=0.5)


def test_without_an_address_the_workers_are_threads() -> None:
    with workers_for(None, 3) as workers:
        assert workers == Threads(3)


def test_without_the_extra_a_cluster_is_refused_by_name() -> None:
    program = (
        "import sys; sys.modules['distributed'] = None\n"
        "from geo.cluster import DaskWorkers; from geo.errors import GeoRefusal\n"
        "try: DaskWorkers('tcp://127.0.0.1:8786')\n"
        "except GeoRefusal as refusal: print(refusal.code, refusal)"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
    assert done.stdout.startswith("cluster_not_installed ") and "tanhui[cluster]" in done.stdout


def test_a_refusal_of_the_cluster_is_a_refusal() -> None:
    assert issubclass(ClusterUnreachable, GeoRefusal)
