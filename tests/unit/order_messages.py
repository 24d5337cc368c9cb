"""Order messages in the dialects of several vendors, written from public profiles.

IHE Scheduled Workflow (ORM^O01 2.3.1 with ZDS, OMI^O23 2.5.1 with IPC and TQ1), a hospital system
that numbers by OBR-18 and writes Windows line ends, one that sends Arabic in cp1256 with an order
in each OBR under one ORC, one with delimiters of its own, an archive's OMG^O19, and old habits: no
trigger in MSH-9, the patient in PID-2, priority in OBR-27.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STUDY_UID = "1.2.826.0.1.3680043.9.1"


def joined(*segments: str, end: str = "\r") -> str:
    return end.join(segments) + end


def seg(name: str, fields: dict[int, str], mark: str = "|") -> str:
    """Return a segment with some of its fields filled."""
    return mark.join([name, *(fields.get(n, "") for n in range(1, max(fields) + 1))])


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A message and what each of its orders says."""

    name: str
    content: bytes
    expected: tuple[dict[str, Any], ...]


SAMPLES = (
    Sample(
        name="IHE ORM^O01 2.3.1 with ZDS",
        content=joined(
            "MSH|^~\\&|ISSOM|HOSP|TAQRIR|RAD|20261122083000||ORM^O01|100112|P|2.3.1||||||"
            "UNICODE UTF-8",
            "PID|||P1^^^HOSP^PI||Qabbani^Nizar^^^Dr^||19700101|M|||12 Street^^City",
            seg("PV1", {2: "I", 3: "W1^101^1", 8: "0123^Referrer^Ruth", 19: "V10006^^^HOSP"}),
            "ORC|NW|A100Z^MESA_ORDPLC|B100Z^MESA_ORDFIL||SC||1^once^^^^S||20261122083000|||"
            "7101^ESTRADA^JAIME^P^^DR",
            seg(
                "OBR",
                {
                    1: "1",
                    2: "A100Z^MESA_ORDPLC",
                    3: "B100Z^MESA_ORDFIL",
                    4: "P1^Chest PA^ERL_MESA",
                    13: "cough",
                    16: "7101^ESTRADA^JAIME^P^^DR",
                    18: "ACC1",
                    19: "RP1",
                    20: "SPS1",
                    24: "CR",
                    27: "1^once^^^^S",
                    31: "^Shortness of breath",
                },
            ),
            f"ZDS|{STUDY_UID}^HOSP^Application^DICOM",
        ).encode(),
        expected=(
            {
                "patient": ("P1", "HOSP", "Qabbani^Nizar^^Dr", "19700101", "M"),
                "study_uid": STUDY_UID,
                "accession": ("ACC1", ""),
                "step": "SPS1",
                "procedure_id": "RP1",
                "placer": ("A100Z", "MESA_ORDPLC"),
                "filler": ("B100Z", "MESA_ORDFIL"),
                "procedure": ("P1", "Chest PA", "ERL_MESA"),
                "provider": ("7101", "ESTRADA^JAIME^P^DR"),
                "priority": "stat",
                "modality": "CR",
                "reason": "Shortness of breath",
                "class": "I",
                "visit": ("V10006", "HOSP"),
            },
        ),
    ),
    Sample(
        name="IHE OMI^O23 2.5.1 with IPC and TQ1",
        content=joined(
            "MSH|^~\\&|OF|HOSP|TAQRIR|RAD|20261122083000+0300||OMI^O23^OMI_O23|4711|P|2.5.1|||||"
            "|UNICODE UTF-8",
            'PID|1||P1^^^HOSP&1.2.3&ISO^MR~784-1^^^STATE^NI||قباني^نزار~Qabbani^Nizar^^^^^L^""||'
            "197001011230|F",
            seg("PV1", {1: "1", 2: "E", 19: "V7"}),
            "ORC|NW|PO1^PLC|FO1^FIL||SC||||20261122083000",
            seg("TQ1", {7: "20261122083000", 9: "R^Routine^HL70485"}),
            seg(
                "OBR",
                {
                    2: "PO1^PLC",
                    3: "FO1^FIL",
                    4: "71020^Chest two views^C4",
                    31: "786.2^Cough \\T\\ fever^I9",
                },
            ),
            f"IPC|ACC9^RIS^1.2.4^ISO|RP9|{STUDY_UID}.9|SPS9A|DX|CHESTPA^Chest PA^99X",
            f"IPC|ACC9^RIS^1.2.4^ISO|RP9|{STUDY_UID}.9|SPS9B|DX|CHESTLAT^Chest lateral^99X",
        ).encode(),
        expected=tuple(
            {
                "patient": ("P1", "HOSP", "قباني^نزار", "19700101", "F"),
                "study_uid": f"{STUDY_UID}.9",
                "accession": ("ACC9", "RIS"),
                "step": step,
                "procedure_id": "RP9",
                "placer": ("PO1", "PLC"),
                "procedure": ("71020", "Chest two views", "C4"),
                "priority": "routine",
                "modality": "DX",
                "reason": "Cough & fever",
                "class": "E",
                "visit": ("V7", ""),
            }
            for step in ("SPS9A", "SPS9B")
        ),
    ),
    Sample(
        name="a hospital system: CR LF, no ZDS, diagnosis in DG1",
        content=joined(
            "MSH|^~\\&|HIS|MAIN|RIS|RAD|202611220830||ORM^O01|M-1|P|2.3",
            "PID|1|OLD7|P1||Doe^Jane^^^^^L||19700101|U",
            seg("PV1", {2: "O", 19: "9988"}),
            seg("ORC", {1: "XO", 2: "5551", 12: "^Brown^Bob"}),
            seg("OBR", {2: "5551", 4: "XRCH^XR CHEST", 5: "S", 18: "ACC1", 24: "CR", 30: ""}),
            "DG1|1||R05^Cough^ICD10",
            end="\r\n",
        ).encode(),
        expected=(
            {
                "patient": ("P1", "", "Doe^Jane", "19700101", ""),
                "study_uid": "",
                "accession": ("ACC1", ""),
                "step": "",
                "placer": ("5551", ""),
                "filler": ("", ""),
                "procedure": ("XRCH", "XR CHEST", ""),
                "provider": ("", "Brown^Bob"),
                "priority": "routine",
                "modality": "CR",
                "reason": "Cough",
                "class": "O",
            },
        ),
    ),
    Sample(
        name="Arabic in cp1256, two OBRs under one ORC, LF line ends",
        content=joined(
            "MSH|^~\\&|HIS|ALAIN|||20261122||ORM^O01^ORM_O01|77|P|2.4||||||CP1256",
            "PID|1||P1^^^ALAIN||قباني^نزار||19700101|M",
            "ORC|NW|900|901",
            seg(
                "OBR",
                {2: "900", 4: "10^صدر", 18: "ACC1", 24: "CR", 27: "1^^^^^A", 31: "^سعال"},
            ),
            seg("OBR", {2: "900", 4: "11^بطن", 18: "ACC2", 24: "DX", 31: "^ألم"}),
            end="\n",
        ).encode("cp1256"),
        expected=(
            {
                "patient": ("P1", "ALAIN", "قباني^نزار", "19700101", "M"),
                "accession": ("ACC1", ""),
                "placer": ("900", ""),
                "filler": ("901", ""),
                "procedure": ("10", "صدر", ""),
                "priority": "routine",
                "modality": "CR",
                "reason": "سعال",
            },
            {
                "accession": ("ACC2", ""),
                "placer": ("900", ""),
                "procedure": ("11", "بطن", ""),
                "modality": "DX",
                "reason": "ألم",
            },
        ),
    ),
    Sample(
        name="delimiters of its own",
        content=joined(
            "MSH$%*!@$EIGEN$$$$20261122$$ORM%O01$9$P$2.5",
            "PID$1$$P1%%%HOSP@1.2@ISO%MR$$Doe%Jane",
            "ORC$CA$1%PLC",
            seg("OBR", {4: "7%Chest", 18: "ACC!F!1", 24: "CR", 31: "%a ^ b & c"}, "$"),
        ).encode(),
        expected=(
            {
                "patient": ("P1", "HOSP", "Doe^Jane", "", ""),
                "accession": ("ACC$1", ""),
                "placer": ("1", "PLC"),
                "reason": "a ^ b & c",
                "cancelled": True,
            },
        ),
    ),
    Sample(
        name="an archive's OMG^O19 2.5.1 in Latin-1, TQ1 stat",
        content=joined(
            "MSH|^~\\&|ARC|X|||20261122||OMG^O19^OMG_O19|OMG1|P|2.5.1||||||8859/1",
            "PID|||P1^^^HOSP||Müller^Jürgen||19700101|M",
            "PV1||I",
            "ORC|NW|1|2",
            seg("TQ1", {9: "S"}),
            seg(
                "OBR",
                {4: "7^Thorax^99", 16: "^Arzt^Älter", 18: "ACC1", 20: "SPS1", 31: "Husten"},
            ),
            "NTE|1||free words",
            f"ZDS|{STUDY_UID}",
        ).encode("latin-1"),
        expected=(
            {
                "patient": ("P1", "HOSP", "Müller^Jürgen", "19700101", "M"),
                "study_uid": STUDY_UID,
                "accession": ("ACC1", ""),
                "step": "SPS1",
                "provider": ("", "Arzt^Älter"),
                "priority": "stat",
                "reason": "Husten",
            },
        ),
    ),
    Sample(
        name="old habits: no trigger, the patient in PID-2, priority in OBR-27, no version",
        content=joined(
            "MSH|^~\\&|OLD||||20261122||ORM|X1|P|",
            "PID||P1",
            "ORC|NW||F1",
            seg("OBR", {3: "F1", 4: "1^Chest", 18: "ACC1", 24: "CR", 27: "^^^^^S"}),
        ).encode(),
        expected=(
            {
                "patient": ("P1", "", "", "", ""),
                "accession": ("ACC1", ""),
                "filler": ("F1", ""),
                "priority": "stat",
            },
        ),
    ),
)
