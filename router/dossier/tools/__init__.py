"""The coordination tools that use the dossier's API: their registration, and how they prove who they are."""
