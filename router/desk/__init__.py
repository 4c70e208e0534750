"""The identity desk: what a person decides about Items that no rule could attach, and how such a decision is undone."""
