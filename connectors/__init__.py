"""Protocols and services: Sources that submit, Destinations that send, and the sandbox that plays the outside."""
