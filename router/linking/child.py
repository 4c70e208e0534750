"""The process that finds links: a `LinksAsked` on standard input, figures on standard error, `Links` on the output.

It takes processor time that acknowledgements must not wait for, and a reader may hang on an altered content.
"""

from __future__ import annotations

import pickle
import sys
import time

from router.linking.links import LinksAsked, find_links

SECONDS = 60.0
"""After this long what was found so far is given."""


def main() -> None:
    """Answer one question."""
    asked = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the process that started this one
    assert isinstance(asked, LinksAsked)  # noqa: S101 - nothing else is ever asked
    until, last = time.monotonic() + SECONDS, -1

    def told(done: int, of: int) -> bool:
        nonlocal last
        share = done * 100 // of
        if share != last:
            last = share
            sys.stderr.write(f"{share}\n")
            sys.stderr.flush()
        return time.monotonic() < until

    sys.stdout.buffer.write(pickle.dumps(find_links(asked, told)))


if __name__ == "__main__":
    main()
