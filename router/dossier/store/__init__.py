"""The store of the dossier's FHIR resources: versions, blind search, and what follows the journal."""
