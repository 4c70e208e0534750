"""Access tokens for XOAUTH2: read at each login from a file or a program, kept nowhere (ECO.1.2.5)."""

from __future__ import annotations

import subprocess

from connectors.mssante.settings import Login

LARGEST = 64 * 1024


class TokenFault(Exception):
    """No token can be had; the sentence says why, and never what was read."""


def read_token(login: Login) -> str:
    """Read the token; blocks. Raises TokenFault."""
    try:
        if login.token_file is not None:
            with login.token_file.open("rb") as handle:
                printed = handle.read(LARGEST)
        else:
            printed = _run(login)
    except OSError as failure:
        raise TokenFault(f"the access token cannot be read ({failure.strerror or type(failure).__name__})") from None
    try:
        token = printed.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or any(mark.isspace() or not mark.isprintable() for mark in token):
        raise TokenFault("there is no usable access token: sign in to Pro Santé Connect again")
    return token


def xoauth2(user: str, token: str) -> str:
    """Make the initial response of XOAUTH2, before base64."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01"


def _run(login: Login) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the administrator's own program, without a shell
            login.token_command, stdin=subprocess.DEVNULL, capture_output=True, timeout=login.token_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise TokenFault("the program that gives the access token did not end in time") from None
    if done.returncode:
        raise TokenFault(f"the program that gives the access token failed (status {done.returncode})")
    return done.stdout[:LARGEST]
