"""FHIR R4 to Items. Readers take what they use out of the parsed JSON; what is left at the end is what was not read."""
