"""A program that serves an OpenID provider of others over TLS: `provider_wsgi.py SETTINGS.json`.

    {kind: canaille|mock, listen: [host, port], prefix, key, cert, client: {id, secret, redirect},
     people: {login: claims}}

`mock` is mounted below a prefix that its issuer does not have, as one vendor's pages describe it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

PASSWORD = "correct horse battery staple"


def mock(settings: Any) -> Any:
    """oidc-provider-mock: any client, no password, its issuer is the origin."""
    import oidc_provider_mock

    people = [oidc_provider_mock.User(sub=login, claims=claims) for login, claims in settings["people"].items()]
    app = oidc_provider_mock.app(user_claims=people)
    return DispatcherMiddleware(Response("nothing here", 404), {settings["prefix"]: app.wsgi_app})


def canaille(settings: Any) -> Any:
    """Canaille on its backend in memory: a password, then a page that asks for consent."""
    from canaille import create_app
    from canaille.app import models
    from canaille.backends import Backend
    from joserfc.jwk import RSAKey

    host, port = settings["listen"]
    app = create_app(
        {
            "SECRET_KEY": "only for tests",
            "SERVER_NAME": f"{host}:{port}",
            "CACHE_TYPE": "SimpleCache",
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "HTMX": False},
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]},
        }
    )
    with app.app_context():
        backend = Backend.instance
        for login, claims in settings["people"].items():
            user = models.User(
                user_name=login,
                formatted_name=claims["name"],
                family_name=claims["name"],
                emails=[claims["email"]],
                password=PASSWORD,
            )
            backend.save(user)
            for name in claims["groups"]:
                backend.save(models.Group(display_name=name, members=[user]))
        asked = settings["client"]
        client = models.Client(
            client_id=asked["id"],
            client_secret=asked["secret"],
            client_name="smartscale",
            redirect_uris=[asked["redirect"]],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method="client_secret_basic",
        )
        backend.save(client)
        client.audience = [client]
        backend.save(client)
    return app


def main() -> None:
    """Serve until ended."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    application = {"mock": mock, "canaille": canaille}[settings["kind"]](settings)
    host, port = settings["listen"]
    server = make_server(host, port, application, threaded=True, ssl_context=(settings["cert"], settings["key"]))
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
