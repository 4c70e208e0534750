"""`passerelle prove-no-loss`: kill a router under load, again and again, then account for every message.

ledger       what was sent, acknowledged and received, and what must hold between the three
senders      hospitals that send per-patient sequences, and resend what was not acknowledged
receiver     a coordination tool that notes everything, and sometimes fails after it took a Bundle
proof        the run: start, load, kill, restart, settle, compare; `proof.prove` is the entry
accounting   what the journal says of the messages that the ledger knows from outside
verdict      what was found, as JSON and as a table
cluster      the same for several nodes, under faults
"""
