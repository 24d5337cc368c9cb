"""DICOM TLS between us and foreign programs, in both directions: DCMTK and Orthanc."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from harness import MODALITY, Site, film, new_uid, save
from pydicom import dcmread
from servers import dcmtk, free_port, running_orthanc, running_storescp, wait_until
from servers.certificates import Authority, Pair

from cli.main import taqrir
from core import migration
from core.errors import PeerUnreachableError
from core.settings_destinations import PacsSettings
from core.settings_tls import PacsTlsSettings
from core.tls_context import OwnPair, PeerTls
from dicom_node.client import Peer, echo, send_files, store
from worker.destinations.pacs import peer_of

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def foreign(authority: Authority) -> Pair:
    """Return the pair of a system that is not ours; DCMTK's tools want RSA by default."""
    return authority.issue("ct1", key="rsa:2048")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    return authority.issue("taqrir", key="rsa:2048")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("elsewhere"), "Other CA")


@pytest.fixture
def make_site(tmp_path: Path, authority: Authority, ours: Pair) -> Iterator[Callable[..., Site]]:
    """Make an installation whose node listens on a TLS port beside the plain one."""
    sites: list[Site] = []

    def make(**tls: str) -> Site:
        rows = {"client_certificate": "required", "profile": "bcp195", **tls}
        site = Site(
            tmp_path / "site",
            rules=f"""\
[node.tls]
port = {free_port()}
certificate = "{ours.certificate}"
key = "{ours.key}"
trusted = "{authority.certificate}"
{"".join(f'{name} = "{value}"' + chr(10) for name, value in rows.items())}""",
        )
        sites.append(site)
        migration.migrate(site.engine)
        site.start_node()
        return site

    yield make
    for site in sites:
        site.close()


def _port(site: Site) -> int:
    assert site.settings.node.tls is not None
    return site.settings.node.tls.port


def _stored(site: Site) -> list[Path]:
    site.wait_for_index()
    return list((site.settings.data_dir / "studies").rglob("*.dcm"))


def _run(
    program: str, site: Site, *options: str | Path, files: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[str]:
    node = site.settings.node
    command = [dcmtk(program), "-v", "-aet", MODALITY, "-aec", node.ae_title, *options]
    return subprocess.run(
        [*command, node.host, str(_port(site)), *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _tls(pair: Pair, authority: Authority) -> tuple[str | Path, ...]:
    return ("+tls", pair.key, pair.certificate, "+cf", authority.certificate)


# DCMTK calls us


@pytest.mark.parametrize("profile", ["bcp195", "bcp195-modified"])
def test_echoscu_is_answered_with_each_profile_that_dcmtk_has(
    profile: str, make_site: Callable[..., Site], foreign: Pair, authority: Authority
) -> None:
    site = make_site(profile=profile)

    for theirs in ("+py", "+px", "+pz"):
        answer = _run("echoscu", site, *_tls(foreign, authority), theirs)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_storescu_stores_over_tls(
    make_site: Callable[..., Site], foreign: Pair, authority: Authority
) -> None:
    site = make_site()
    study_uid = new_uid()
    files = tuple(save(film(study_uid, value=value), site.folder) for value in (1, 2))

    answer = _run("storescu", site, *_tls(foreign, authority), files=files)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len(_stored(site)) == 2
    # The plain port is open beside it.
    echo(site.peer())


@pytest.mark.parametrize("asked", ["required", "optional"])
def test_a_sender_without_certificate_is_let_in_only_where_none_is_required(
    asked: str, make_site: Callable[..., Site], authority: Authority
) -> None:
    site = make_site(client_certificate=asked)

    answer = _run("echoscu", site, "+tla", "+cf", authority.certificate)

    assert (answer.returncode == 0) is (asked == "optional")


def test_senders_that_may_not_in_leave_the_port_open_for_those_who_may(
    make_site: Callable[..., Site], foreign: Pair, authority: Authority, stranger: Authority
) -> None:
    site = make_site()
    unknown = stranger.issue("ct9", key="rsa:2048")
    expired = authority.issue("old", key="rsa:2048", days=-1)
    silent = socket.create_connection(("127.0.0.1", _port(site)))

    with silent:
        # Of another authority, expired, plain DICOM, and a suite without forward secrecy.
        assert _run("echoscu", site, *_tls(unknown, authority)).returncode != 0
        assert _run("echoscu", site, *_tls(expired, authority)).returncode != 0
        assert _run("echoscu", site).returncode != 0
        weak = ("+px", "+cs", "TLS_RSA_WITH_AES_128_CBC_SHA")
        answer = _run("echoscu", site, *_tls(foreign, authority), *weak)
        assert answer.returncode == 0, "its profile has better suites, too"
        assert _run("echoscu", site, *_tls(foreign, authority), "+pn").returncode != 0
        assert _run("echoscu", site, *_tls(foreign, authority)).returncode == 0


def test_echoscu_does_not_believe_us_with_another_authority(
    make_site: Callable[..., Site], foreign: Pair, stranger: Authority
) -> None:
    assert _run("echoscu", make_site(), *_tls(foreign, stranger)).returncode != 0


# We call ourselves: a large object crosses many TLS records


def test_a_large_object_arrives_over_tls_byte_for_byte(
    make_site: Callable[..., Site], authority: Authority, ours: Pair, tmp_path: Path
) -> None:
    site = make_site()
    # No four bytes are like any others: nothing can be lost or moved unseen.
    pixels = np.arange(1 << 20, dtype=np.uint32).tobytes()
    large = film(Rows=2048, Columns=2048, PixelData=pixels)
    path = save(large, tmp_path)
    own = OwnPair(setting="pacs.tls", certificate=ours.certificate, key=ours.key)
    peer = Peer(
        ae_title=site.settings.node.ae_title,
        host="127.0.0.1",
        port=_port(site),
        calling_ae_title=MODALITY,
        tls=PeerTls(trusted=authority.certificate, own=own),
    )

    [sent] = send_files(peer, [path])

    assert sent.is_stored, sent.problem
    [stored] = _stored(site)
    assert dcmread(stored).PixelData == large.PixelData


def test_the_send_command_finds_the_tls_port(make_site: Callable[..., Site]) -> None:
    site = make_site()
    path = save(film(), site.folder)

    options = ["--config", str(site.config), "--tls", str(path)]
    answer = CliRunner().invoke(taqrir, ["send", *options])

    assert answer.exit_code == 0, answer.output
    assert "1 accepted by TAQRIR, 0 not" in answer.output
    assert len(_stored(site)) == 1


# We call DCMTK


def _archive(site: Site, port: int, tls: PacsTlsSettings) -> Peer:
    """Return how the worker would call an archive that is set so."""
    pacs = PacsSettings(name="main", ae_title="STORESCP", host="127.0.0.1", port=port, tls=tls)
    return peer_of(site.settings, pacs)


@pytest.mark.parametrize("theirs", ["+py", "+pz"])
def test_storescp_takes_an_object_over_tls(
    theirs: str, tmp_path: Path, foreign: Pair, ours: Pair, authority: Authority
) -> None:
    site = Site(tmp_path / "site")
    tls = PacsTlsSettings(trusted=authority.certificate, certificate=ours.certificate, key=ours.key)
    data = save(film(), tmp_path).read_bytes()
    options = (*map(str, _tls(foreign, authority)), theirs)
    with running_storescp(tmp_path, *options) as receiver:
        peer = _archive(site, receiver.port, tls)
        echo(peer)
        assert store(peer, data).is_success
        [file] = wait_until(receiver.files)
    assert dcmread(file).PixelData == dcmread(BytesIO(data)).PixelData
    site.engine.dispose()


def test_storescp_that_wants_our_certificate_and_one_that_we_do_not_believe(
    tmp_path: Path, foreign: Pair, authority: Authority, stranger: Authority
) -> None:
    site = Site(tmp_path / "site")
    with running_storescp(tmp_path, *map(str, _tls(foreign, authority))) as receiver:
        nothing_to_show = PacsTlsSettings(trusted=authority.certificate)
        with pytest.raises(PeerUnreachableError, match="asks for our certificate"):
            echo(_archive(site, receiver.port, nothing_to_show))
        with pytest.raises(PeerUnreachableError, match="its certificate is refused"):
            echo(_archive(site, receiver.port, PacsTlsSettings(trusted=stranger.certificate)))
    site.engine.dispose()


# Orthanc


def test_orthanc_and_we_speak_tls_both_ways(
    make_site: Callable[..., Site],
    tmp_path: Path,
    foreign: Pair,
    ours: Pair,
    authority: Authority,
) -> None:
    site = make_site()
    folder = tmp_path / "orthanc"
    folder.mkdir()
    tls = PacsTlsSettings(trusted=authority.certificate, certificate=ours.certificate, key=ours.key)
    with running_orthanc(
        folder,
        ae_title=MODALITY,
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(foreign.certificate),
        DicomTlsPrivateKey=str(foreign.key),
        DicomTlsTrustedCertificates=str(authority.certificate),
        DicomTlsRemoteCertificateRequired=True,
    ) as orthanc:
        peer = _archive(site, orthanc.dicom_port, tls)
        echo(peer)
        assert store(peer, save(film(), tmp_path).read_bytes()).is_success
        [instance] = orthanc.instances()

        orthanc.request(
            "/modalities/taqrir",
            "PUT",
            {
                "AET": site.settings.node.ae_title,
                "Host": "127.0.0.1",
                "Port": _port(site),
                "UseDicomTls": True,
            },
        )
        orthanc.send(instance, "taqrir")
    assert len(_stored(site)) == 1
