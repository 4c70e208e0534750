"""The engine: receive, read, identify, route, deliver; everything it knows is in the journal."""
