"""Several nodes on one journal: who works on what, who is there, and who tells whom that there is something to do."""
