"""Coordination tools, seen from outside: each pulls, is told, and writes in its own vocabulary and rhythm.

    async with Tool(profile("spico"), "http://127.0.0.1:8080", "spico", secret, user="https://…|8…") as tool:
        await tool.subscribe()
        await tool.post_note("Patient/…", "demande d'avis", "Plaie", "Que pensez-vous de ce pansement ?")
        await tool.pull()
        tool.feed          # what its users would read, in its own words

None of these tools publishes its own interface: a profile holds what public pages say of its words and of how it works,
and everything goes through the dossier's FHIR API. Nothing is shared with the router's own code.
"""

from connectors.sandbox.tools.client import ServerRefused as ServerRefused, ToolFault as ToolFault
from connectors.sandbox.tools.notices import Notice as Notice
from connectors.sandbox.tools.profile import ToolProfile as ToolProfile, profile as profile, profiles as profiles
from connectors.sandbox.tools.tool import FeedLine as FeedLine, Mood as Mood, Tool as Tool
