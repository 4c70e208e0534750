"""`python -m router.cli`: the same command where the console script is not on the path."""

from router.cli.base import main

main()
