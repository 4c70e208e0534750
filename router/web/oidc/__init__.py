"""Signing in through an OpenID provider: authorization code with PKCE, checked tokens, a role by mapping."""
