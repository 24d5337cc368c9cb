"""The demonstration's PACS."""

from __future__ import annotations

import pytest
from dicom_samples import radiograph, to_bytes

from core.errors import UnreadableInstanceError
from dicom_node.client import Peer, store
from dicom_node.demo_pacs import DemoPacs


def test_an_identifier_that_would_lead_astray_is_not_a_file_name(tmp_path):
    dataset = radiograph()
    pacs = DemoPacs("PACS", tmp_path)
    with pacs:
        data = to_bytes(dataset).replace(
            dataset.SOPInstanceUID.encode(), b"../" + b"1" * (len(dataset.SOPInstanceUID) - 3)
        )
        with pytest.raises(UnreadableInstanceError):
            store(Peer(ae_title="PACS", host="127.0.0.1", port=pacs.port), data)
    assert list(tmp_path.parent.glob("*1111*")) == []


def test_a_pacs_that_is_not_running_has_no_port(tmp_path):
    with pytest.raises(RuntimeError):
        _ = DemoPacs("PACS", tmp_path).port
