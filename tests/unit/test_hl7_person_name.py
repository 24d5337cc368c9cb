"""DICOM person names as HL7 writes them."""

from __future__ import annotations

import pytest

from hl7.person_name import to_xcn, to_xpn


def test_suffix_and_prefix_change_places() -> None:
    assert to_xpn("Curie^Marie^S^Dr^PhD") == [("Curie", "Marie", "S", "PhD", "Dr", "", "", "A")]


def test_the_alphabetic_group_leads_and_the_arabic_one_stays() -> None:
    first, second = to_xpn("Qabbani^Nizar=قباني^نزار")
    assert first[:2] == ("Qabbani", "Nizar")
    assert second[:2] == ("قباني", "نزار")
    assert (first[-1], second[-1]) == ("A", "I")


def test_an_arabic_name_in_the_first_group_is_the_name() -> None:
    assert to_xpn("قباني^لنزار")[0][:2] == ("قباني", "لنزار")


@pytest.mark.parametrize("name", ["", "^^^^", "=", "==", " ^ =^", "\x00"])
def test_an_empty_name_is_no_repetition(name: str) -> None:
    assert to_xpn(name) == []
    assert to_xcn(name) == ()


def test_an_empty_first_group_gives_way_to_the_next() -> None:
    assert [n[0] for n in to_xpn("==Yamada")] == ["Yamada"]


def test_more_groups_and_components_than_dicom_has_are_left_out() -> None:
    assert to_xpn("a^b^c^d^e^f^g=h=i=j") == [
        ("a", "b", "c", "e", "d", "", "", "A"),
        ("h", "", "", "", "", "", "", "I"),
        ("i", "", "", "", "", "", "", "P"),
    ]


def test_a_name_is_one_line_and_not_endless() -> None:
    [name] = to_xpn("a\r\nPID|2" + "x" * 500)
    assert name[0].startswith("a PID|2")
    assert len(name[0]) == 194


def test_a_referrer_has_no_identifier() -> None:
    assert to_xcn("House^Gregory^^Dr") == ("", "House", "Gregory", "", "", "Dr")
