"""The dossier's FHIR R4 API, under `/fhir`: for coordination tools. Every answer that is no file is FHIR."""
