"""What tools asked to be told of: R4 rest-hook subscriptions, by criteria (NdE) or by topic (R5 backport)."""
