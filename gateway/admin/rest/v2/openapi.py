"""The OpenAPI 3.1 document of /api/v2, made from the table of operations."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gateway.admin.rest.v2 import token
from gateway.admin.rest.v2.operation import Operation
from gateway.admin.rest.v2.shapes import SHAPES
from gateway.admin.rest.v2.token_document import token_operation
from services.shared.scopes import NAMES

_ERRORS = {
    "400": "Bad Request",
    "401": "Unauthorized",
    "403": "Forbidden: the credential lacks the scope",
    "404": "Not Found",
    "405": "Method Not Allowed",
    "412": "Precondition Failed",
    "413": "Content Too Large",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
}


_SCHEMAS: dict[str, dict[str, Any]] = {
    "array": {"type": ["array", "null"], "items": {"type": "string"}},
    "object": {"type": ["object", "null"]},
}
_NAME: dict[str, Any] = {"type": "string", "examples": ["1"]}
_PATH: dict[str, dict[str, Any]] = {
    "tailnet": {"type": "string", "enum": ["-"], "description": "The name of the tailnet is taken as well."},
    "attribute": {"type": "string", "pattern": "^custom:[A-Za-z0-9_:]{1,121}$", "examples": ["custom:risk"]},
    "contact": {"type": "string", "enum": ["account", "support", "security"]},
}
"""Schemas of parameters in paths by name; of the others `_NAME`."""
_HUJSON = """{
\t// everybody reaches everything
\t"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}],
}
"""
_EXAMPLES: dict[str, Any] = {
    "authorized": True,
    "capabilities": {"devices": {"create": {"reusable": True, "ephemeral": False, "tags": ["tag:web"]}}},
    "description": "CI of the web servers",
    "email": "admin@example.com",
    "expirySeconds": 86400,
    "ipv4": "100.64.0.7",
    "keyExpiryDisabled": True,
    "keyType": "auth",
    "name": "printer",
    "role": "admin",
    "routes": ["10.0.0.0/8"],
    "scopes": ["devices:core:read"],
    "tags": ["tag:web"],
}


def build(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.verb.lower()] = _operation(operation)
    paths[token.PATH] = {"post": token_operation()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tailnet administration in the hosted service's shapes",
            "version": version("smartscale"),
            "description": "Operations that are not listed answer 404. The tailnet is `-`.",
        },
        "servers": [{"url": "/api/v2"}],
        "security": [{"bearer": []}, {"basic": []}, {"oauth": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "headscale apikeys create"},
                "basic": {"type": "http", "scheme": "basic", "description": "The API key as user name, no password"},
                "client": {"type": "http", "scheme": "basic", "description": "The client secret as password"},
                "oauth": {
                    "type": "oauth2",
                    "description": "headscale oauth-clients create",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": "/api/v2/oauth/token",
                            "scopes": dict.fromkeys(sorted(NAMES), ""),
                        }
                    },
                },
            },
            "schemas": dict(SHAPES),
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    error = _content("Error")
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.summary.title().replace(" ", "").replace("'", ""),
        "tags": [operation.tag],
        "x-scopes": list(operation.scopes),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _PATH.get(name, _NAME)} for name in names),
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query),
        ],
        "responses": {
            "200": {"description": "Done", "content": _answer(operation.answer)},
            **{status: {"description": text, "content": error} for status, text in _ERRORS.items()},
        },
    }
    if operation.request:
        found["requestBody"] = {"required": False, "content": _content(operation.request)}
    elif operation.body or operation.optional:
        found["requestBody"] = {"required": bool(operation.body), "content": _members(operation)}
    return found


def _content(name: str) -> dict[str, Any]:
    """Return the content of a body of one shape, with its example."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"application/json": {"schema": schema, "example": SHAPES[name]["examples"][0]}}


def _answer(name: str) -> dict[str, Any]:
    """Return the content of an answer; a policy may be HuJSON. One in a request is either, whatever its media type."""
    hujson = {"application/hujson": {"schema": {"type": "string"}, "example": _HUJSON}} if name == "Policy" else {}
    return {**_content(name), **hujson}


def _members(operation: Operation) -> dict[str, Any]:
    """Return the content of a body that is described by its members."""
    members = {**operation.body, **operation.optional}
    properties = {
        name: _SCHEMAS.get(kind, {"type": kind if name in operation.body else [kind, "null"]})
        for name, kind in members.items()
    }
    example = {name: _EXAMPLES[name] for name in members if name in _EXAMPLES}
    schema = {"type": "object", "properties": properties, "required": list(operation.body), "examples": [example]}
    return {"application/json": {"schema": schema, "example": example}}
