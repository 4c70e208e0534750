"""Wire formats: one package each, pure functions between bytes and Items, and the registry of them all."""
