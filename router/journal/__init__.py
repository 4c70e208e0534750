"""The journal: every Message, Item and Delivery, in SQLite or PostgreSQL, and the only truth that the engine has."""
