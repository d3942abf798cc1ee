"""The local cluster of ``runbook fleet run --workers``, as another user of the machine finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, Security
from strangers import as_nobody, listening, said_to, tls

from runbook_lib.batch.dask import connect
from runbook_lib.batch.rollout import ClusterOptions
from runbook_lib.secrets import SecretRef

OWN, OTHER = "PI_PASSWORD", "AWS_SECRET_ACCESS_KEY"
_RUN_SOMETHING = """
import tempfile
from distributed import Client, Security
become_nobody()
tempfile.tempdir = os.getcwd()
*own, address = sys.argv[1:]
port = address.rsplit(":", 1)[1]
ways = {
    "plain": (f"tcp://127.0.0.1:{port}", None),
    "TLS with a certificate of his own": (f"tls://127.0.0.1:{port}", Security(
        tls_ca_file=own[0], tls_client_cert=own[0], tls_client_key=own[1], require_encryption=True)),
}
ran = {}
for name, (address, security) in ways.items():
    try:
        with Client(address, security=security, timeout=3) as client:
            ran[name] = client.run_on_scheduler(os.getuid)
    except Exception as error:
        ran[name] = type(error).__name__
print(json.dumps(ran))
"""


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[Client, set[tuple[str, int]]]]:
    """A local cluster, and the places at which it waits for connections."""
    before = listening()
    with pytest.MonkeyPatch.context() as patch:
        for name in (OWN, OTHER):
            patch.setenv(name, "secret-of-" + name)
        client = connect(ClusterOptions(workers=1), [SecretRef.parse(f"env:{OWN}")])
    try:
        yield client, listening() - before
    finally:
        cluster = client.cluster
        client.close()
        cluster.close()


@pytest.fixture(scope="module")
def own_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and a key that somebody else made, as this software makes its own."""
    folder = tmp_path_factory.mktemp("stranger")
    pair = Security.temporary()
    (folder / "cert.pem").write_text(pair.tls_client_cert)
    (folder / "key.pem").write_text(pair.tls_client_key)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    return folder / "cert.pem", folder / "key.pem"


def test_the_local_cluster_works(ports: tuple[Client, set[tuple[str, int]]]) -> None:
    """Whoever belongs to it runs code there: what follows is not silence of something broken."""
    client, places = ports
    assert client.submit(sum, (1, 2)).result(timeout=60) == 3
    assert len(places) >= 3, "the scheduler, a worker and its nanny"


def test_a_process_of_the_local_cluster_keeps_the_secrets_of_its_fleet_alone(
    ports: tuple[Client, set[tuple[str, int]]],
) -> None:
    """Of what stood in the environment when it was started, what a worker of ours gets."""
    [environment] = ports[0].run(lambda: dict(os.environ)).values()
    assert {name for name, value in environment.items() if "secret-of" in value} == {OWN}
    assert "PATH" in environment


def test_no_port_of_the_local_cluster_says_a_word_to_a_stranger(
    ports: tuple[Client, set[tuple[str, int]]], own_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Every port of the cluster's processes, the dashboard's and the workers' too: without its certificate, nothing."""
    both = tmp_path / "pair.pem"
    both.write_text(own_pair[0].read_text() + own_pair[1].read_text())
    heard = {
        (place, way): said
        for place in ports[1]
        for way, context in (("plain", None), ("TLS", tls()), ("TLS, own certificate", tls(both)))
        if (said := said_to(place, context))
    }
    assert heard == {}


def test_another_user_runs_nothing_on_the_local_cluster(
    ports: tuple[Client, set[tuple[str, int]]], own_pair: tuple[Path, Path]
) -> None:
    """A stranger who knows the scheduler's port and speaks Dask gets in neither plainly nor with a certificate."""
    cert, key = own_pair
    ran = as_nobody(_RUN_SOMETHING, cert, key, ports[0].scheduler.address)
    assert isinstance(ran, dict)
    assert {way: said for way, said in ran.items() if isinstance(said, int)} == {}
