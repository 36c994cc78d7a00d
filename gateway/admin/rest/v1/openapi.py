"""The OpenAPI 3.1 document, made of the table of operations and of the contract's descriptors."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.admin.calls import etag
from gateway.admin.calls.table import NOUNS
from gateway.admin.checks import LONG, MAX_ITEMS, MAX_TEXT
from gateway.admin.json_names import json_name
from gateway.admin.rest.v1.forms import FORMS, ID, LINKS, MOST, NAMES_TOO, NARROWED, REQUIRED, Schema
from gateway.admin.rest.v1.operations import EVERY, Operation
from gateway.admin.rest.v1.problem import TITLES
from gateway.admin.rest.v1.reading import MAX_UINT32

_SMALL: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_UINT32}
_ERRORS = (400, 401, 404, 405, 409, 413, 429, 500, 503, 504)
_UNMET = 412
_ETAGS: Schema = {"type": "string", "pattern": etag.FORM}


def build() -> Schema:
    """Return the whole document."""
    schemas: Schema = {"Problem": _problem()}
    paths: Schema = {}
    for operation in EVERY:
        path = operation.path
        paths.setdefault(path, {})[operation.verb.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headscale administration",
            "version": version("smartscale"),
            "description": "The calls of headscale.v1 over HTTP. Members of a body that are not known are ignored; "
            "null means not given. Errors carry the members of both kinds of clients.",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in EVERY)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "headscale apikeys create"}
            },
            "schemas": dict(sorted(schemas.items())),
            "responses": {f"E{status}": _error(status) for status in sorted((*_ERRORS, _UNMET))},
        },
    }


def operation_id(rpc: str) -> str:
    """Return the call's name as generators of clients like it."""
    return rpc[0].lower() + rpc[1:]


def schema_name(kind: Descriptor) -> str:
    """Return a message's name; those of our own packages carry the package's, as some have names of Headscale's."""
    package = str(kind.file.package).split(".")
    if package[0] == "headscale":
        return kind.name
    owner = "tailnet" if package[1] == "types" else package[1]
    return owner.title().replace("_", "") + kind.name


def _operation(operation: Operation, schemas: Schema) -> Schema:
    answer: Schema = {
        "description": "Done",
        "content": {"application/json": {"schema": _message(operation.method.output_type, schemas)}},
    }
    if operation.narrowed:
        answer["headers"] = {"Link": {"description": "The next page, if there is one", "schema": {"type": "string"}}}
    if operation.tagged:
        text = "The policy in force: changes with it, for If-Match"
        answer["headers"] = {"ETag": {"description": text, "schema": {"type": "string"}}}
    if links := LINKS.get(operation.known_as):
        answer["links"] = {f"{name}After{operation.known_as}": _link(name, *into) for name, *into in links}
    statuses = (*_ERRORS, _UNMET) if operation.conditional else _ERRORS
    errors = {str(status): {"$ref": f"#/components/responses/E{status}"} for status in statuses}
    found: Schema = {
        "operationId": operation_id(operation.known_as),
        "summary": _summary(operation),
        "tags": [operation.tag],
        "responses": {"200": answer, **errors},
    }
    if parameters := _parameters(operation):
        found["parameters"] = parameters
    if operation.body:
        required = [json_name(name) for name in REQUIRED.get(operation.rpc, ())]
        properties = {
            json_name(field.name): _argument(operation.rpc, field)
            for field in operation.request.fields
            if field.name not in operation.path_fields
        }
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        schemas[schema_name(operation.request)] = schema
        reference = {"$ref": f"#/components/schemas/{schema_name(operation.request)}"}
        found["requestBody"] = {"required": bool(required), "content": {"application/json": {"schema": reference}}}
    return found


def _summary(operation: Operation) -> str:
    """Return the first line of the documentation of the call's handler."""
    noun = next(noun for noun in NOUNS[operation.service] if hasattr(noun, operation.rpc))
    text: str = getattr(noun, operation.rpc).__doc__ or ""
    return text.strip().partition("\n")[0].rstrip(".")


def _parameters(operation: Operation) -> list[Schema]:
    fields = operation.request.fields_by_name
    found: list[Schema] = []
    for name in operation.path_fields:
        schema: Schema = {"type": "string", "minLength": 1, **_form(operation.rpc, name)}
        if fields[name].type == FieldDescriptor.TYPE_UINT64 and (operation.rpc, name) not in NAMES_TOO:
            schema = dict(ID)
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    for name in operation.query:
        required = operation.rpc in ("DeletePreAuthKey", "UnlinkUser")
        parameter = {
            "name": json_name(name),
            "in": "query",
            "required": required,
            "schema": _asked(operation.rpc, fields[name]),
        }
        found.append(parameter)
    for name in operation.narrowed:
        text, schema = NARROWED[name]
        found.append({"name": name, "in": "query", "required": False, "description": text, "schema": schema})
    if operation.conditional:
        text = 'Only when this ETag is in force; "ts-default" stands for no policy ever set, and * for any'
        found.append({"name": "If-Match", "in": "header", "required": False, "description": text, "schema": _ETAGS})
    return found


def _form(rpc: str, name: str) -> Schema:
    return {"maxLength": MAX_TEXT, **FORMS.get((rpc, name), {})}


def _asked(rpc: str, field: FieldDescriptor) -> Schema:
    if field.type == FieldDescriptor.TYPE_UINT64:
        return dict(ID)
    if field.type == FieldDescriptor.TYPE_UINT32:
        return dict(_SMALL)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    if field.message_type is not None:
        return {"type": "string", "format": "date-time"}
    return {"type": "string", **_form(rpc, field.name)}


def _argument(rpc: str, field: FieldDescriptor) -> Schema:
    """Return a member of a body; null is as good as leaving it out."""
    if field.is_repeated:
        items = {"type": "string", **_form(rpc, field.name)}
        return {"type": ["array", "null"], "items": items, "maxItems": MOST.get(rpc, MAX_ITEMS)}
    if field.type == FieldDescriptor.TYPE_UINT64:
        return {"type": ["string", "integer", "null"], "pattern": "^[0-9]{1,19}$", "minimum": 0, "examples": ["1"]}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": ["boolean", "null"]}
    if field.message_type is not None:
        return {"type": ["string", "null"], "format": "date-time"}
    if field.name in REQUIRED.get(rpc, ()):
        return {"type": "string", **_form(rpc, field.name)}
    return {"type": ["string", "null"], **({} if field.name in LONG else _form(rpc, field.name))}


def _message(kind: Descriptor, schemas: Schema) -> Schema:
    name = schema_name(kind)
    if name not in schemas:
        schemas[name] = {}
        properties = {json_name(field.name): _member(field, schemas) for field in kind.fields}
        schemas[name] = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _member(field: Any, schemas: Schema) -> Schema:
    if field.enum_type is not None:
        return {"type": "string", "enum": list(field.enum_type.values_by_name)}
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
        return {"type": ["string", "null"], "format": "date-time"}
    if field.message_type is not None:
        found = _message(field.message_type, schemas)
        return {"type": "array", "items": found} if field.is_repeated else {"anyOf": [found, {"type": "null"}]}
    if field.type == FieldDescriptor.TYPE_UINT64:
        return {"type": "string", "pattern": "^[0-9]{1,20}$"}
    if field.type == FieldDescriptor.TYPE_UINT32:
        return dict(_SMALL)
    one = {"type": "boolean" if field.type == FieldDescriptor.TYPE_BOOL else "string"}
    return {"type": "array", "items": one} if field.is_repeated else one


def _link(rpc: str, parameters: dict[str, str], body: dict[str, str]) -> Schema:
    found: Schema = {"operationId": operation_id(rpc)}
    if parameters:
        found["parameters"] = {name: _pointed(pointer) for name, pointer in parameters.items()}
    if body:
        found["requestBody"] = {name: _pointed(pointer) for name, pointer in body.items()}
    return found


def _pointed(pointer: str) -> str:
    return pointer if pointer.startswith("$") else f"$response.body#{pointer}"


def _error(status: int) -> Schema:
    found: Schema = {
        "description": TITLES[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status == 429:
        seconds = {"type": "integer", "minimum": 1}
        found["headers"] = {"Retry-After": {"description": "Seconds to wait", "schema": seconds}}
    return found


def _problem() -> Schema:
    text, number = {"type": "string"}, {"type": "integer"}
    properties = {
        "title": text,
        "status": {**number, "description": "The HTTP status"},
        "detail": {**text, "description": "What is wrong; a parameter's name comes first"},
        "code": {**number, "description": "The gRPC status"},
        "message": {**text, "description": "The same as detail"},
        "details": {"type": "array", "items": {"type": "object"}},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
