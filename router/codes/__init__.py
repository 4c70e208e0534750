"""Local codes and units: the concept maps in force, what they do to a reading, and the worklist of what they lack."""
