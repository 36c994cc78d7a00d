"""Every captured case of the hosted service: what it refused is refused in its words, what it sent is what we send.

The captures are not part of this repository. Without them the cases of `test_semantics.py` stand alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.policy.corpus import ROOT, SKIPPED_VERDICTS, check, load, paths

CASES = paths()


@pytest.mark.skipif(not CASES, reason=f"captured policy corpus is absent: {ROOT}")
def test_the_corpus_is_present() -> None:
    assert CASES


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_our_answer_is_the_hosted_services_answer(path: Path) -> None:
    case = load(path)
    if case.id in SKIPPED_VERDICTS:
        pytest.skip(f"verdict: {SKIPPED_VERDICTS[case.id]}")
    assert check(case) == []
