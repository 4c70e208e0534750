"""The canonical model: what a coordination dossier knows, free of any wire format.

Everything here is a frozen pydantic model or a pure function; nothing does I/O apart from reading the
package's own data files. `schemas.item.Item` is the one thing that travels through Passerelle.
"""
