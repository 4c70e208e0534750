"""A pip-audit that has nothing to tell: only the list of what is accepted is looked at."""
