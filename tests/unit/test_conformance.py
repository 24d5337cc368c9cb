"""The conformance statement: its tables are the code's, and associations are what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dicom_samples import a_context, a_report
from harness.commitment import act, commit, reference, report_all, request_for
from harness.films import film
from harness.raw_peer import FILM_STORAGE, RawPeer, request
from harness.receiving import Receiving, receiving
from harness.site import Site
from pydicom import uid
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
)

from cli.conformance_page import all_tables, main, marked_tables, with_tables
from core.migration import migrate
from core.report import Language
from dicom_node.client import echo, store
from dicom_node.commitment_request import request_commitment
from dicom_node.connecting import Peer
from dicom_node.query import ask_archive
from dicom_node.report_sr import build_sr

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
TEXT = PAGE.read_text(encoding="utf-8")
VERIFICATION, COMMITMENT = "1.2.840.10008.1.1", "1.2.840.10008.1.20.1"
JPEG_XL = "1.2.840.10008.1.2.4.110"
# PS3.8 table 9-18.
ACCEPTED, ABSTRACT_SYNTAX_REFUSED, TRANSFER_SYNTAXES_REFUSED = 0, 3, 4


def rows(table: str) -> list[list[str]]:
    """Return a table's rows as they stand on the page, without code marks."""
    body = TEXT.split(f"<!-- table {table} -->")[1].split("<!-- end -->")[0]
    lines = [line for line in body.splitlines() if line][2:]
    assert lines, table
    return [line.strip("| ").replace("`", "").split(" | ") for line in lines]


def uids_of(names: str) -> list[str]:
    """Return the transfer syntaxes that a cell of the page names."""
    known = {name: identifier for _, name, identifier, *_ in rows("transfer-syntaxes")}
    return [known[name] for name in names.split(", ")]


# The page


def test_the_tables_on_the_page_are_the_codes() -> None:
    command = "run: python -m cli.conformance_page docs/conformance.md"
    assert with_tables(TEXT) == TEXT, command


def test_every_table_stands_on_the_page_once() -> None:
    assert sorted(marked_tables(TEXT)) == sorted(all_tables())


def test_a_table_that_is_out_of_date_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("Verification SOP Class", "Print"), encoding="utf-8")

    main(str(page))

    assert page.read_text(encoding="utf-8") == TEXT


def test_a_mark_without_a_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="no-such-table"):
        with_tables("<!-- table no-such-table -->\n<!-- end -->\n")


@pytest.mark.parametrize("name", all_tables())
def test_no_cell_of_a_table_breaks_it(name: str) -> None:
    table = all_tables()[name]

    assert all(len(row) == len(table.columns) for row in table.rows)
    assert not any(re.search(r"[|\n]", cell) for row in table.rows for cell in row)


# What is accepted


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("conformance")) as receiver:
        yield receiver


def answered(node: Receiving, contexts: list[tuple[str, list[str]]], **more: Any) -> A_ASSOCIATE:
    """Return the node's answer to presentation contexts, numbered 1, 3, 5, ..."""
    numbered = [(2 * at + 1, *context) for at, context in enumerate(contexts)]
    with node.peer() as peer:
        answer = peer.associate(contexts=numbered, **more)
        peer.release()
    return answer


def outcomes(answer: A_ASSOCIATE) -> list[tuple[int, str]]:
    results = answer.presentation_context_definition_results_list
    return [(r.result, str(r.transfer_syntax[0]) if r.transfer_syntax else "") for r in results]


def test_every_storage_class_of_the_page_is_accepted(node: Receiving) -> None:
    classes = [row[1] for row in rows("storage-sop-classes")]
    [first, *_] = rows("transfer-syntaxes")

    syntaxes = [uid.ImplicitVRLittleEndian, first[2]]
    found = [
        outcome
        for part in (classes[:128], classes[128:])
        for outcome in outcomes(answered(node, [(one, syntaxes) for one in part]))
    ]

    assert found == [(ACCEPTED, first[2])] * len(classes)


def test_the_pages_order_of_transfer_syntaxes_decides_and_not_the_senders(node: Receiving) -> None:
    order = [row[2] for row in rows("transfer-syntaxes")]
    pairs = list(pairwise(order))

    answer = answered(node, [(FILM_STORAGE, [later, earlier]) for earlier, later in pairs])

    assert outcomes(answer) == [(ACCEPTED, earlier) for earlier, _ in pairs]


def test_each_transfer_syntax_of_the_page_is_accepted_alone(node: Receiving) -> None:
    order = [row[2] for row in rows("transfer-syntaxes")]

    assert outcomes(answered(node, [(FILM_STORAGE, [one]) for one in order])) == [
        (ACCEPTED, one) for one in order
    ]


@pytest.mark.parametrize(
    ("abstract_syntax", "syntaxes", "result"),
    [
        ("1.2.3.4.5", [uid.ExplicitVRLittleEndian], ABSTRACT_SYNTAX_REFUSED),
        ("1.2.840.10008.5.1.4.1.2.2.2", [uid.ExplicitVRLittleEndian], ABSTRACT_SYNTAX_REFUSED),
        (FILM_STORAGE, ["1.2.3.4.5"], TRANSFER_SYNTAXES_REFUSED),
        (FILM_STORAGE, [JPEG_XL], TRANSFER_SYNTAXES_REFUSED),
        (COMMITMENT, [uid.ExplicitVRBigEndian], TRANSFER_SYNTAXES_REFUSED),
    ],
    ids=["private class", "C-MOVE", "private syntax", "JPEG XL", "commitment in big endian"],
)
def test_what_is_not_on_the_page_is_refused_and_harms_no_other_context(
    node: Receiving, abstract_syntax: str, syntaxes: list[str], result: int
) -> None:
    echo_context = (VERIFICATION, [uid.ImplicitVRLittleEndian])

    answer = answered(node, [(abstract_syntax, syntaxes), echo_context])

    assert [found for found, _ in outcomes(answer)] == [result, ACCEPTED]


def test_an_association_is_accepted_though_none_of_its_contexts_is(node: Receiving) -> None:
    answer = answered(node, [("1.2.3.4.5", [uid.ExplicitVRLittleEndian])])

    assert [found for found, _ in outcomes(answer)] == [ABSTRACT_SYNTAX_REFUSED]


@pytest.mark.parametrize("row", rows("accepted-contexts")[1:], ids=lambda row: row[0])
def test_the_other_contexts_are_accepted_as_the_page_has_them(
    node: Receiving, row: list[str]
) -> None:
    _, abstract_syntax, names, _, extended = row
    syntaxes = uids_of(names)
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = uid.UID(abstract_syntax), False, True

    answer = answered(
        node,
        [(abstract_syntax, syntaxes[::-1]), *((abstract_syntax, [one]) for one in syntaxes)],
        items=[role] if extended == "role selection" else [],
    )

    assert outcomes(answer) == [(ACCEPTED, one) for one in (syntaxes[0], *syntaxes)]
    roles = [i for i in answer.user_information if isinstance(i, SCP_SCU_RoleSelectionNegotiation)]
    assert [(r.scu_role, r.scp_role) for r in roles] == (
        [(False, True)] if extended == "role selection" else []
    )


def test_the_node_identifies_itself_as_the_page_says(node: Receiving) -> None:
    said = dict(rows("identification"))
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 0
    window.maximum_number_operations_performed = 0
    levels = SOPClassExtendedNegotiation()
    levels.sop_class_uid = uid.UID(FILM_STORAGE)
    levels.service_class_application_information = bytes((2, 0, 0, 0, 0, 0))

    answer = answered(node, [(FILM_STORAGE, [uid.ExplicitVRLittleEndian])], items=[window, levels])

    items = {type(item).__name__: item for item in answer.user_information}
    agreed = items["AsynchronousOperationsWindowNegotiation"]
    assert str(answer.application_context_name) == said["Application Context Name"]
    assert answer.implementation_class_uid == said["Implementation Class UID"]
    version = items["ImplementationVersionNameNotification"].implementation_version_name
    assert version == said["Implementation Version Name"]
    assert f"{answer.maximum_length_received} bytes" == said["Maximum length of a PDU, as acceptor"]
    invoked = said["Operations that a requestor may have under way"]
    assert f"at most {agreed.maximum_number_operations_invoked};" in invoked
    performed = said["Operations that the node has under way with a requestor"]
    assert str(agreed.maximum_number_operations_performed) == performed
    information = items["SOPClassExtendedNegotiation"].service_class_application_information
    [levels_said] = [value for key, value in said.items() if key.startswith("Storage: level")]
    assert [int(number) for number in levels_said.split(", ")] == list(information[::2])


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"called": "SOMEBODY"}, "the called AE title"),
        ({"calling": "SOMEBODY"}, "neither a sender nor an archive"),
    ],
)
def test_strangers_are_rejected_as_the_page_says(
    node: Receiving, names: dict[str, str], why: str
) -> None:
    [row] = [row for row in rows("rejections") if row[3].startswith(why)]

    with RawPeer(node.port) as peer:
        peer.send(request(**names))
        answer = peer.receive()

    assert answer is not None
    assert answer.rejection == tuple(int(cell.split()[0]) for cell in row[:3])


# What is proposed


class _Noting:
    """An archive that accepts everything and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Association] = []
        self.port = 0

    def note(self, event: evt.Event) -> None:
        self.asked.append(event.assoc)

    @property
    def contexts(self) -> list[tuple[str, list[str]]]:
        [association] = self.asked
        return [
            (str(c.abstract_syntax), [str(t) for t in c.transfer_syntax])
            for c in association.requestor.requested_contexts
        ]


def _find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
    match = Dataset()
    match.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
    match.StudyInstanceUID = event.identifier.StudyInstanceUID
    match.NumberOfStudyRelatedInstances = 1
    yield 0xFF00, match


@contextmanager
def noting() -> Iterator[_Noting]:
    archive = _Noting()
    entity = AE(ae_title="ARCHIVE")
    syntaxes: dict[str, list[str]] = {}
    for row in rows("proposed-contexts"):
        if row[2]:
            syntaxes.setdefault(row[2], []).extend(uids_of(row[3]))
    entity.supported_contexts = [_both_roles(name, uids) for name, uids in syntaxes.items()]
    handlers = [
        (evt.EVT_REQUESTED, archive.note),
        (evt.EVT_C_STORE, lambda _: 0),
        (evt.EVT_C_FIND, _find),
        (evt.EVT_N_ACTION, lambda _: (0, None)),
        (evt.EVT_N_EVENT_REPORT, lambda _: (0, None)),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    archive.port = server.socket.getsockname()[1]
    try:
        yield archive
    finally:
        entity.shutdown()


def _both_roles(abstract_syntax: str, syntaxes: list[str]) -> Any:
    context = build_context(abstract_syntax, syntaxes)
    context.scu_role = context.scp_role = True
    return context


def _send_draft(peer: Peer) -> None:
    store(peer, build_sr(report=a_report(), context=a_context(), language=Language.EN))


def _ask_commitment(peer: Peer) -> None:
    request_commitment(
        peer,
        [request_for(reference(film()))],
        on_answer=lambda _request, _status: None,
        on_report=lambda _type, _data, _syntax: 0,
        is_settled=lambda: True,
        wait_seconds=0,
    )


ACTIVITIES: dict[str, Callable[[Peer], object]] = {
    "taqrir check": echo,
    "a draft": _send_draft,
    "count_at": lambda peer: ask_archive(peer, "1.2.3", enough=1),
    'confirm = "commitment"': _ask_commitment,
}


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_what_taqrir_proposes_is_what_the_page_says(activity: str) -> None:
    proposed = [row for row in rows("proposed-contexts") if row[0].split(",")[0] == activity]
    said = dict(rows("identification"))

    with noting() as archive:
        ACTIVITIES[activity](Peer(ae_title="ARCHIVE", host="127.0.0.1", port=archive.port))

    assert archive.contexts == [(row[2], uids_of(row[3])) for row in proposed]
    asked = archive.asked[0].requestor
    assert asked.extended_negotiation == []
    assert asked.implementation_class_uid == said["Implementation Class UID"]
    assert asked.implementation_version_name == said["Implementation Version Name"]
    assert f"{asked.maximum_length} bytes" == said["Maximum length of a PDU, as initiator"]


def test_a_report_on_storage_commitment_is_proposed_as_the_page_says(tmp_path: Path) -> None:
    [row] = [row for row in rows("proposed-contexts") if row[0].startswith("a report")]
    site = Site(tmp_path)

    with noting() as archive:
        _report_to(site, archive.port)

    site.close()
    assert archive.contexts == [(row[2], uids_of(row[3]))]
    [role] = archive.asked[0].requestor.role_selection.values()
    assert (role.sop_class_uid, role.scu_role, role.scp_role) == (COMMITMENT, False, True)


def _report_to(site: Site, port: int) -> None:
    """Let a sender that listens itself ask for a commitment, and be told."""
    migrate(site.engine)
    commit(site, host="127.0.0.1", port=port)
    assert act(site, request_for(reference(film()))) == 0
    report_all(site)
