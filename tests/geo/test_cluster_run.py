"""A cluster as operators run it: with nannies, with TLS, and with a client that somebody interrupts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from geo.cluster import DaskWorkers
from geo.errors import ClusterDiffers
from tests.geo.tasks import PATIENCE_S, doubled, held
from tests.machines import CHECKOUT, DASK, Machines

pytestmark = pytest.mark.slow

CLIENT = """
import sys
from functools import partial
from pathlib import Path
from geo.cluster import DaskWorkers
from geo.errors import GeoRefusal
from tests.geo.tasks import doubled, held
try:
    with DaskWorkers(sys.argv[1], wait_s=5) as workers:
        print(list(workers.map(partial(held, doubled, Path(sys.argv[2])), range(40))))
except GeoRefusal as refusal:
    print(refusal.code, refusal)
except KeyboardInterrupt:
    print("interrupted")
"""


def client(address: str, folder: Path, settings: Mapping[str, str]) -> "subprocess.Popen[str]":
    """A process that has forty numbers doubled as soon as the file `go` is in the folder."""
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, address, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=os.environ | dict(settings),
    )


def taken(folder: Path) -> list[int]:
    """Processes of the workers that have taken an item, once there is one."""
    end = time.monotonic() + PATIENCE_S
    while not (found := [int(file.name.partition("-")[2]) for file in folder.glob("taken-*")]):
        assert time.monotonic() < end, "nobody took an item"
        time.sleep(0.02)
    return found


def test_a_worker_that_its_nanny_starts_anew_goes_on_with_the_item(tmp_path: Path) -> None:
    with Machines() as machines:
        machines.worker(nanny=True)
        found: list[int] = []
        with DaskWorkers(machines.address) as workers:
            task = partial(held, doubled, tmp_path)
            work = threading.Thread(target=lambda: found.extend(workers.map(task, range(5))))
            work.start()
            (first,) = taken(tmp_path)
            os.kill(first, signal.SIGKILL)
            (tmp_path / "go").touch()
            work.join(PATIENCE_S)
        assert found == [0, 2, 4, 6, 8]
        assert len(taken(tmp_path)) == 2


def test_who_interrupts_a_run_leaves_nothing_on_the_cluster(tmp_path: Path) -> None:
    """What workers are in the middle of they end; nothing else is begun, and nothing is kept."""
    with Machines() as machines:
        machines.worker()
        process = client(machines.address, tmp_path, {})
        taken(tmp_path)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (0, "interrupted\n")
        (tmp_path / "go").touch()
        with DaskWorkers(machines.address) as workers:
            assert list(workers.map(doubled, range(5))) == [0, 2, 4, 6, 8]
            end = time.monotonic() + PATIENCE_S
            while workers._client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
                assert time.monotonic() < end, "items are kept"
                time.sleep(0.05)
        (file,) = tmp_path.glob("taken-*")
        assert len(file.read_text().split()) == 1


BARE = (sys.executable, "-c", "import sys; sys.modules['geo'] = None; from dask.__main__ import main; main()")
"""The command `dask` of an environment in which this package is not installed."""


def test_machines_without_this_package_are_told_before_they_get_work() -> None:
    with Machines() as machines:
        machines._program = BARE
        machines.worker()
        with pytest.raises(ClusterDiffers) as worker:
            DaskWorkers(machines.address)
    with Machines(program=BARE) as machines:
        machines._program = DASK
        machines.worker()
        with pytest.raises(ClusterDiffers) as scheduler:
            DaskWorkers(machines.address)
    for refusal in (worker.value, scheduler.value):
        assert refusal.facts["what"] == "code of geo"
        assert "No module named" in str(refusal.facts["theirs"])
    assert scheduler.value.facts["host"] == machines.address


def certificates(folder: Path) -> dict[str, str]:
    """An authority, and one certificate of it for all, as settings of distributed."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", "member")]
    for place, name in enumerate(names):
        made = (
            x509.CertificateBuilder(names[0], name, keys[place].public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=place == 0, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(keys[place].public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False
            )
            .sign(keys[0], hashes.SHA256())
        )
        (folder / f"{place}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "1.key").write_bytes(private)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    settings = {f"{tls}CA_FILE": str(folder / "0.pem"), "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        settings |= {f"{tls}{who}__CERT": str(folder / "1.pem"), f"{tls}{who}__KEY": str(folder / "1.key")}
    return settings


def test_with_certificates_of_both_sides_a_cluster_may_be_elsewhere(tmp_path: Path) -> None:
    """Certificates come from the environment; whoever has none, or of another authority, is not let in."""
    settings = certificates(tmp_path)
    (tmp_path / "stranger").mkdir()
    strangers = certificates(tmp_path / "stranger")
    (tmp_path / "go").touch()
    with Machines(settings, protocol="tls") as machines:
        assert machines.address.startswith("tls://")
        machines.worker()
        said = {
            name: client(machines.address, tmp_path, own).communicate(timeout=PATIENCE_S)[0]
            for name, own in (("member", settings), ("nobody", {}), ("stranger", strangers))
        }
    assert said["member"] == f"{[2 * n for n in range(40)]}\n"
    assert said["nobody"].startswith("cluster_unreachable ")
    assert said["stranger"].startswith("cluster_unreachable ")
