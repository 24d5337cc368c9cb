"""A report as ORU^R01, an unsolicited result.

English and Arabic travel in one message or in two, each language a group of OBX segments. Each
group begins with the notice of what the text is, so that no view of a RIS shows it without.

Source: HL7 v2.5.1 chapter 7.3.1 (ORU); docs/hl7.md has every field.
"""

from __future__ import annotations

from hl7.er7 import Er7Writer
from hl7.result import Envelope, Result
from hl7.result_segments import add_header, add_observations, add_order, add_patient


def build_oru(result: Result, envelope: Envelope) -> bytes:
    r"""Return a result as an ORU^R01 message, segments ended by ``\r``.

    The same arguments give the same bytes. Before sending, `hl7.result_reading.verify_result`
    proves them.

    Raises:
        ValueError: A naive time.
        PermanentError: An identifier cannot be sent as it is.
        UnwritableTextError: The character set of the destination lacks a letter.
        TextIntegrityError: A text holds half a character.
    """
    writer = Er7Writer("ORU_R01", version=result.layout.version)
    add_header(writer, result, envelope, ("ORU", "R01", "ORU_R01"))
    add_patient(writer, result)
    add_order(writer, result, envelope)
    add_observations(writer, result, envelope)
    return writer.encode(result.layout.codec)
