"""Who may associate with the node, and what each may do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import MODALITY, Site, captured_logs, film, save
from pydicom.uid import ComputedRadiographyImageStorage
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

from core import migration
from core.errors import PeerRefusedError
from dicom_node.client import echo, send_files

VERIFICATION = "1.2.840.10008.1.1"
CALLED_AE_TITLE_NOT_RECOGNISED, CALLING_AE_TITLE_NOT_RECOGNISED = 7, 3
NOT_AUTHORISED = 0x0124


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation whose node runs, with an archive called ARCHIVE."""
    site = Site(tmp_path_factory.mktemp("admission"), pacs={"main": 1})
    migration.migrate(site.engine)
    site.start_node()
    yield site
    site.close()


def _associate(
    site: Site, *, calling: str, called: str = "TAQRIR", handlers: Sequence[Any] = ()
) -> Association:
    entity = AE(ae_title=calling)
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(ComputedRadiographyImageStorage)
    node = site.settings.node
    return entity.associate(node.host, node.port, ae_title=called, evt_handlers=list(handlers))


def _rejection(site: Site, *, calling: str, called: str = "TAQRIR") -> tuple[int, int, int]:
    """Return result, source and reason of the rejection that a caller gets.

    From the PDU: pynetdicom's own `is_rejected` is not set where the answer comes so fast that the
    connection is closed before it looks.
    """
    came: list[A_ASSOCIATE_RJ] = []
    handlers = [(evt.EVT_PDU_RECV, lambda event: came.append(event.pdu))]
    association = _associate(site, calling=calling, called=called, handlers=handlers)
    assert not association.is_established
    (pdu,) = came
    assert isinstance(pdu, A_ASSOCIATE_RJ)
    return pdu.result, pdu.source, pdu.reason_diagnostic


def test_a_configured_sender_may_ask_for_a_sign_of_life(node: Site) -> None:
    echo(node.peer())


def test_an_unknown_caller_is_rejected_for_good_with_the_reason(node: Site) -> None:
    with captured_logs() as log:
        rejection = _rejection(node, calling="NOBODY")

    assert rejection == (1, 1, CALLING_AE_TITLE_NOT_RECOGNISED)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (said,) = [line for line in lines if line["event"] == "association_rejected"]
    assert (said["ae_title"], said["address"]) == ("NOBODY", "127.0.0.1")
    assert said["reason"] == "calling AE title or address unknown"


def test_a_title_that_only_resembles_a_senders_is_unknown(node: Site) -> None:
    for title in (MODALITY.lower(), MODALITY + "2", MODALITY[:-1]):
        assert _rejection(node, calling=title) == (1, 1, CALLING_AE_TITLE_NOT_RECOGNISED)


def test_who_calls_somebody_else_is_rejected_with_the_reason(node: Site) -> None:
    rejection = _rejection(node, calling=MODALITY, called="ANOTHER")

    assert rejection == (1, 1, CALLED_AE_TITLE_NOT_RECOGNISED)


def test_an_archive_may_echo_and_may_not_store(node: Site) -> None:
    archive = node.peer("ARCHIVE")
    echo(archive)

    (sent,) = send_files(archive, [save(film(), node.folder)])

    assert sent.answer is not None
    assert sent.answer.status == NOT_AUTHORISED
    assert list(node.parts.files.inbox.iterdir()) == []


def test_a_sender_with_an_address_is_taken_from_that_address_only(tmp_path: Path) -> None:
    site = Site(tmp_path)
    sender = site.settings.senders[0]
    elsewhere = sender.model_copy(update={"ae_title": "ELSEWHERE", "host": "192.0.2.1"})
    here = sender.model_copy(update={"ae_title": "HERE", "host": "localhost"})
    site.settings = site.settings.model_copy(update={"senders": (elsewhere, here)})
    migration.migrate(site.engine)
    site.start_node()

    echo(site.peer("HERE"))
    with pytest.raises(PeerRefusedError, match="rejected"):
        echo(site.peer("ELSEWHERE"))
    site.close()


def test_a_caller_who_is_rejected_harms_nobody_else(node: Site) -> None:
    known = _associate(node, calling=MODALITY)
    for _ in range(3):
        assert _rejection(node, calling="NOBODY") == (1, 1, CALLING_AE_TITLE_NOT_RECOGNISED)

    assert known.send_c_echo().Status == 0
    known.release()


def test_a_port_that_is_taken_is_said_at_the_start(node: Site, tmp_path: Path) -> None:
    second = Site(tmp_path)
    second.settings = second.settings.model_copy(update={"node": node.settings.node})
    migration.migrate(second.engine)
    before = threading.active_count()

    with pytest.raises(OSError, match="in use"):
        second.start_node()

    assert threading.active_count() == before
    second.close()
