"""Several router nodes on one journal: who works on what, and how they tell each other.

contracts    what the engine is given: Lanes, Bells, Presence
settings     where the servers of NATS are, and how long a node may be silent
link         the connection to them, made and kept in the background
tokens       the stream that holds one token a lane, and the consumers that hand tokens out
share        how many lanes of a kind are a node's share
ownership    the lanes of this node: taken, kept, dropped, given back (Lanes)
exchange     bells and presence over plain NATS (Bells, Presence)
joining      puts these together for `passerelle serve`
"""
