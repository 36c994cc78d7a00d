"""The operations of /api/v2 about the policy file."""

from __future__ import annotations

import base64
import re
from typing import Any

import grpc
import orjson
from smartscale.admin.v1 import policy_pb2 as pb
from smartscale.types.v1 import policy_pb2 as policy_types
from starlette.responses import Response

from gateway.admin.calls import etag
from gateway.admin.refusal import Refused, invalid
from gateway.admin.rest.serving import read_raw
from gateway.admin.rest.v2.hujson import standardize
from gateway.admin.rest.v2.operation import Operation, Question, answered

_POLICY = "smartscale.admin.v1.PolicyAdminService."
UNSET = "{}"
"""The policy while none was ever set: everything is allowed."""
_PLACED = re.compile(r"(.*) \(line (\d+), column (\d+)\)", re.DOTALL)
_PREVIEWS = {"user": "user", "ipport": "destination"}
_LEADS = ("reading policy:", "parsing policy:")


def refusal_text(text: str) -> str:
    """Return a refusal of a policy as GitOps actions search for it: `line L, column C: text` comes first."""
    for lead in _LEADS:
        text = text.removeprefix(lead)
    first = _PLACED.fullmatch(text.strip().split("\n")[0])
    return f"line {first[2]}, column {first[3]}: {first[1]}" if first else text.strip()


async def _in_force(question: Question) -> tuple[str, str]:
    """Return the policy in force and its entity tag."""
    try:
        answer = await question.ask(_POLICY + "GetPolicy", pb.GetPolicyRequest())
    except Refused as refusal:
        if refusal.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return UNSET, etag.NONE_SET
    return str(answer.version.text) or UNSET, str(answer.version.etag)


def as_json(text: str) -> Any:
    """Return a policy as values, whether it is HuJSON or YAML.

    Raises:
        Refused: it is neither.
    """
    try:
        return orjson.loads(standardize(text))
    except orjson.JSONDecodeError:
        pass
    import yaml  # late: few policies are YAML

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise invalid("body", "neither JSON, HuJSON nor YAML") from None


def _shown(question: Question, text: str, tag: str) -> Response:
    headers = {"ETag": f'"{tag}"'}
    if "application/json" in question.request.headers.get("accept", ""):
        return answered(as_json(text), headers)
    return Response(text.encode(), 200, {"Cache-Control": "no-store", **headers}, "application/hujson")


async def _get(question: Question) -> Response:
    text, tag = await _in_force(question)
    if question.request.query_params.get("details") in ("1", "true"):
        warnings = (await question.ask(_POLICY + "CheckPolicy", pb.CheckPolicyRequest(text=text))).warnings
        body = {"acl": base64.b64encode(text.encode()).decode(), "warnings": list(warnings), "errors": []}
        return answered(body, {"ETag": f'"{tag}"'})
    return _shown(question, text, tag)


async def _set(question: Question) -> Response:
    """Replace the policy; an empty body resets it to the state before any was set."""
    text = await _text_of(question)
    headers = [value if value.startswith(('"', "*", "W/")) else f'"{value}"'
               for value in question.request.headers.getlist("if-match")]  # fmt: skip
    question.call.if_match = etag.read_if_match(headers)
    try:
        answer = await question.ask(_POLICY + "SetPolicy", pb.SetPolicyRequest(text=text))
    except Refused as refusal:
        raise _readable(refusal) from None
    return _shown(question, str(answer.version.text) or UNSET, str(answer.version.etag))


async def _validate(question: Question) -> Response:
    """A list holds tests against the policy in force; anything else is a whole policy, which is never stored."""
    text = await _text_of(question)
    if text.lstrip().startswith("["):
        document = as_json((await _in_force(question))[0])
        if not isinstance(document, dict):
            raise invalid("body", "the policy in force is not an object, so that no tests can be added to it")
        text = orjson.dumps({**document, "tests": as_json(text)}).decode()
    try:
        await question.ask(_POLICY + "CheckPolicy", pb.CheckPolicyRequest(text=text))
    except Refused as refusal:
        if refusal.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        return answered({"message": refusal_text(str(refusal)), "data": []})
    return answered({})


async def _preview(question: Question) -> Response:
    """List the rules of a policy that concern a user, or an address and a port; an empty body is the one in force."""
    query = question.request.query_params
    kind, subject = query.get("type", ""), query.get("previewFor", "")
    if kind not in _PREVIEWS:
        raise invalid("type", "neither user nor ipport")
    if not subject:
        raise invalid("previewFor", "missing: name a user, or an address and a port")
    text = await _text_of(question) or (await _in_force(question))[0]
    request = pb.PreviewRulesRequest(text=text, **{_PREVIEWS[kind]: subject})
    try:
        answer = await question.ask(_POLICY + "PreviewRules", request)
    except Refused as refusal:
        raise _readable(refusal) from None
    return answered({"matches": list(map(_match, answer.matches)), "type": kind, "previewFor": subject})


def _match(match: policy_types.PolicyMatch) -> dict[str, Any]:
    found = {"users": list(match.users), "ports": list(match.ports), "lineNumber": match.line}
    return {**found, "postures": list(match.postures)} if match.postures else found


async def _text_of(question: Question) -> str:
    raw = await read_raw(question.request)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise invalid("body", "not UTF-8") from None


def _readable(refusal: Refused) -> Refused:
    if refusal.code is grpc.StatusCode.INVALID_ARGUMENT:
        return Refused(refusal.code, refusal_text(str(refusal)))
    return refusal


_READ = "policy_file:read"

OPERATIONS = (
    Operation(
        "GET",
        "/tailnet/{tailnet}/acl",
        "Get the policy file",
        "policy file",
        _get,
        _READ,
        ("details",),
        answer="Policy",
    ),
    Operation(
        "POST",
        "/tailnet/{tailnet}/acl",
        "Replace the policy file",
        "policy file",
        _set,
        "policy_file",
        answer="Policy",
        request="Policy",
    ),
    Operation(
        "POST",
        "/tailnet/{tailnet}/acl/validate",
        "Validate a policy",
        "policy file",
        _validate,
        _READ,
        answer="PolicyFindings",
        request="PolicyOrTests",
    ),
    Operation(
        "POST",
        "/tailnet/{tailnet}/acl/preview",
        "Preview the rules for a user or a destination",
        "policy file",
        _preview,
        _READ,
        ("type", "previewFor"),
        answer="PolicyPreview",
        request="Policy",
    ),
)
