"""How notices leave: by subscriptions of tools, by MSSanté, by mail and SMS without health data; and how each ended."""
