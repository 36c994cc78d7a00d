"""Modules of a package imported without its `__init__`, and the package whole for whoever asks for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.shared.without_init import skip_init


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package whose `__init__` imports a heavy module, and the name of its parent."""
    inner = tmp_path / "outer_package" / "inner"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").write_text("")
    (inner / "__init__.py").write_text("from .heavy import weight\n")
    (inner / "heavy.py").write_text("weight = 1000\n")
    (inner / "light.py").write_text("from . import feather\nweight = feather.weight\n")
    (inner / "feather.py").write_text("weight = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "outer_package.inner"
    for name in [name for name in sys.modules if name.startswith("outer_package")]:
        del sys.modules[name]


def test_a_module_is_imported_without_the_init_of_its_package(package: str) -> None:
    skip_init(package)
    assert importlib.import_module(f"{package}.light").weight == 1
    assert f"{package}.heavy" not in sys.modules


def test_the_first_use_of_another_name_runs_the_init(package: str) -> None:
    skip_init(package)
    importlib.import_module(f"{package}.light")
    module = importlib.import_module(package)
    assert module.weight == 1000
    assert sys.modules["outer_package"].inner is module


def test_a_name_that_nobody_has_is_an_attribute_error(package: str) -> None:
    skip_init(package)
    with pytest.raises(AttributeError):
        _ = importlib.import_module(package).height


def test_a_package_that_is_there_stays_as_it_is(package: str) -> None:
    before = importlib.import_module(package)
    skip_init(package)
    assert importlib.import_module(package) is before


def test_a_package_that_nobody_installed_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        skip_init("no_such_package")
