"""HL7 v2: results out to a RIS, and later orders in. The only package that knows hl7apy."""
