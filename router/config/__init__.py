"""`passerelle.toml`: its models, how it is read, and the reference made from both."""
