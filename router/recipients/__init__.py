"""Who gets what by mail: which people and structures one Item goes to, each in a Delivery of its own.

rules       the table of who gets what, and the legal combinations of a sender's wishes (data)
circles     what the coordination dossier says: members who may be sent it, oppositions
mailboxes   from a person or structure to the one address of theirs
deciding    all of it together: whom to write to, and who cannot be reached and why
"""
