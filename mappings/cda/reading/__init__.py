"""CDA into Items: the source and its encoding, the header, the patient, the body, and what was left behind."""
