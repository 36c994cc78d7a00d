"""The document in Swagger 2.0, at the address where Headscale up to 0.29 has it: made from the OpenAPI 3.1 document."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from gateway.admin.rest.v1 import openapi
from gateway.admin.rest.v1.forms import Schema

_DROPPED = frozenset({"links", "examples"})
"""Members that Swagger 2.0 does not have."""


def build() -> Schema:
    """Return the whole document."""
    source = openapi.build()
    return {
        "swagger": "2.0",
        "info": {**source["info"], "license": {"name": source["info"]["license"]["name"]}},
        "basePath": source["servers"][0]["url"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {
            "apiKey": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer KEY"}
        },
        "security": source["security"],
        "tags": source["tags"],
        "paths": {
            path: {verb: _operation(operation, source) for verb, operation in verbs.items()}
            for path, verbs in source["paths"].items()
        },
        "definitions": {name: _schema(schema) for name, schema in source["components"]["schemas"].items()},
    }


def _operation(operation: Schema, source: Schema) -> Schema:
    found = {name: deepcopy(operation[name]) for name in ("operationId", "summary", "tags")}
    found["parameters"] = [_parameter(parameter) for parameter in operation.get("parameters", ())]
    if body := operation.get("requestBody"):
        schema = _schema(body["content"]["application/json"]["schema"])
        found["parameters"].append({"name": "body", "in": "body", "required": body["required"], "schema": schema})
    answers = operation["responses"]
    found["responses"] = {status: _response(answer, source) for status, answer in answers.items()}
    return found


def _parameter(parameter: Schema) -> Schema:
    kept = {name: value for name, value in parameter.items() if name != "schema"}
    return {**kept, **_schema(parameter["schema"])}


def _response(answer: Schema, source: Schema) -> Schema:
    if reference := answer.get("$ref"):
        answer = source["components"]["responses"][reference.rpartition("/")[2]]
    (content,) = answer["content"].values()
    found: Schema = {"description": answer["description"], "schema": _schema(content["schema"])}
    if headers := answer.get("headers"):
        found["headers"] = {
            name: {"description": header["description"], **_schema(header["schema"])}
            for name, header in headers.items()
        }
    return found


def _schema(schema: Any) -> Any:
    """Return a schema in the older notation: one type, `x-nullable` for null, other places of definitions."""
    if isinstance(schema, list):
        return [_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return {"$ref": f"#/definitions/{reference.rpartition('/')[2]}"}
    if choices := schema.get("anyOf"):
        (kept,) = [one for one in choices if one != {"type": "null"}]
        return {"allOf": [_schema(kept)], "x-nullable": True}
    found = {name: _schema(value) for name, value in schema.items() if name not in _DROPPED and name != "properties"}
    if "properties" in schema:
        found["properties"] = {name: _schema(value) for name, value in schema["properties"].items()}
    types = schema.get("type")
    if isinstance(types, list):
        found["type"] = next(one for one in types if one != "null")
        if "null" in types:
            found["x-nullable"] = True
    return found
