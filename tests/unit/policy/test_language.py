"""In which language a policy is read: the text decides, so every door gives one verdict whatever a file is called."""

from __future__ import annotations

import pytest

from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError

NAMES = ("", "p.hujson", "p.json", "p.yaml", "P.YML", "p.txt")
TAKEN = [
    "acls: []\n",
    "# comment\nacls: []\n",
    "---\nacls: []\n",
    '{"acls": []}',
    '// comment\n{"acls": [],}\n',
    '/* comment */ {"acls": []}',
]
REFUSED = [
    "{acls: []}\n",
    '# comment\n{"acls": []}\n',
    '-- comment\n{"acls": []}\n',
    "- acls\n",
    "// comment\nacls: []\n",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", TAKEN)
def test_a_policy_is_taken_whatever_its_file_is_called(text: str, name: str) -> None:
    assert compile_policy(text, name=name).policy is not None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", REFUSED)
def test_a_policy_is_refused_whatever_its_file_is_called(text: str, name: str) -> None:
    with pytest.raises(PolicyError):
        compile_policy(text, name=name)


def test_a_name_that_promises_the_other_language_is_mentioned() -> None:
    with pytest.raises(PolicyError, match="this is read as JSON"):
        compile_policy("{acls: []}\n", name="p.yaml")
    with pytest.raises(PolicyError, match="this is read as YAML"):
        compile_policy("- acls\n", name="p.hujson")
