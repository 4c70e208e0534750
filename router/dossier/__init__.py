"""The coordination dossier: its circle, consents and habilitations, who may see what, and who is told what."""
