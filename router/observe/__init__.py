"""What the router tells those who run it: traces, and a log of what happens to messages; never health data."""
