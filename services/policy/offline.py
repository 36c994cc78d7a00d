"""The door of the command line to policy documents and described tailnets: reads and compiles both without a server."""

from __future__ import annotations

from services.policy.model.compiler import Document, ProviderGroups, compile_policy
from services.policy.model.text.problems import Lines, PolicyError, SyntaxProblem
from services.policy.model.text.source import read as read_policy
from services.policy.model.text.tree import Plain, Value
from services.policy.model.text.yamltext import read_yaml

__all__ = [
    "Document",
    "Lines",
    "Plain",
    "PolicyError",
    "ProviderGroups",
    "SyntaxProblem",
    "Value",
    "compile_policy",
    "read_policy",
    "read_yaml",
]
