"""Each case that lies beside the checkout is named by a test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.public_cases.folder import CASES


def test_no_case_is_without_a_test() -> None:
    if CASES is None:
        pytest.skip("shared/cases is not beside the checkout")
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [case.name for case in sorted(CASES.iterdir()) if f'"{case.name}"' not in tests] == []
