"""The OpenAPI 3.1 document of /api/v2, made from the table of operations."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gateway.admin.rest.v2.operation import Operation

_ERRORS = {
    "400": "Bad Request",
    "401": "Unauthorized",
    "404": "Not Found",
    "412": "Precondition Failed",
    "413": "Content Too Large",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
}


def build(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.verb.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tailnet administration in the hosted service's shapes",
            "version": version("smartscale"),
            "description": "Operations that are not listed answer 404. The tailnet is `-`.",
        },
        "servers": [{"url": "/api/v2"}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "headscale apikeys create"},
                "basic": {"type": "http", "scheme": "basic", "description": "The API key as user name, no password"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"message": {"type": "string"}},
                    "required": ["message"],
                }
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.summary.title().replace(" ", "").replace("'", ""),
        "tags": [operation.tag],
        "x-scope": operation.scope,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names),
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query),
        ],
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}},
            **{status: {"description": text, "content": error} for status, text in _ERRORS.items()},
        },
    }
    if operation.body:
        properties: dict[str, Any] = {
            name: {"type": kind, **({"items": {"type": "string"}} if kind == "array" else {})}
            for name, kind in operation.body.items()
        }
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found
