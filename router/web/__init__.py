"""The dashboard and the HTTP API: they read the journal, and ask the engine to act."""
