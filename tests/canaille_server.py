"""Runs Canaille, a real OpenID provider, in a process of its own: `python canaille_server.py SETTINGS.json`.

Its users, groups and clients are in memory. The settings name the port, the address that it may lead back to, and the
public key of the client that signs who it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from canaille import create_app
from canaille.app import models

PASSWORD = "un mot de passe de fiction"


def main(settings: dict[str, Any]) -> None:
    """Serve until the process is ended."""
    address = f"127.0.0.1:{settings['port']}"
    app = create_app(
        config={
            "SECRET_KEY": "only for a test, and long enough for it",
            "SERVER_NAME": address,
            "PREFERRED_URL_SCHEME": "http",
            "DEBUG": True,
            "CANAILLE": {"DATABASE": "memory", "SMTP": None, "LANGUAGE": "en"},
            "CANAILLE_OIDC": {},
        }
    )
    with app.app_context():
        people = {}
        for name, family in (("camille", "FICTIVE"), ("sans-role", "TESTROSE")):
            people[name] = models.User(
                user_name=name,
                family_name=family,
                given_name=name,
                formatted_name=f"{name} {family}",
                emails=[f"{name}@example.test"],
                password=PASSWORD,
            )
            app.backend.save(people[name])
        app.backend.save(models.Group(display_name="passerelle-ops", members=[people["camille"]]))
        for client_id, method in (("par-secret", "client_secret_basic"), ("par-cle", "private_key_jwt")):
            client = models.Client(
                client_id=client_id,
                client_secret="a secret of a test",
                client_name="Passerelle",
                client_uri=settings["client"],
                redirect_uris=[f"{settings['client']}/login/oidc/canaille/callback"],
                post_logout_redirect_uris=[f"{settings['client']}/login"],
                grant_types=["authorization_code"],
                response_types=["code"],
                scope=["openid", "profile", "email", "groups"],
                token_endpoint_auth_method=method,
                id_token_signed_response_alg="RS256",
                jwks=json.dumps({"keys": [settings["key"]]}),
            )
            app.backend.save(client)
            client.audience = [client]
            app.backend.save(client)
    app.run(host="127.0.0.1", port=settings["port"], debug=False, use_reloader=False, threaded=False)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
