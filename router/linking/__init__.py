"""Which pieces of a message said each canonical value, and which pieces of what was sent carry it: found by trying."""
