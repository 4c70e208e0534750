"""Whose is it: the patients that the dossier knows, and the rules by which an Item is attached to one of them."""
