"""The router's directory of professionals and mailboxes, and its white list: kept fresh, looked up, shown.

places      where its files are             state       what the last refresh came to, and the one under way
refreshing  one refresh, in a child process  service     all of it for the engine, the pages, the API and the CLI
"""
