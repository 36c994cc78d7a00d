"""Which commit a program says it was built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.shared import build_info
from services.shared.build_info import UNKNOWN, VARIABLE, built, commit_of

COMMIT, OTHER = "a" * 40, "b" * 40


ROOT = Path(__file__).parents[2]
PLACE = Path(build_info.__file__).parent.relative_to(ROOT)
"""Where the module is, so that the tests notice when it moves."""


def folder_in(root: Path) -> Path:
    folder = root / PLACE
    folder.mkdir(parents=True)
    return folder


def test_the_environment_wins_over_the_build_and_that_over_the_checkout(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    assert commit_of(folder, {}) == UNKNOWN
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(COMMIT + "\n")
    assert commit_of(folder, {}) == COMMIT
    (folder / "commit.txt").write_text("v1.2-dirty\n")
    assert commit_of(folder, {VARIABLE: ""}) == "v1.2-dirty"
    assert commit_of(folder, {VARIABLE: OTHER}) == OTHER


@pytest.mark.parametrize("packed", [False, True])
def test_a_checkout_names_the_commit_of_its_branch(tmp_path: Path, packed: bool) -> None:
    folder, git = folder_in(tmp_path), tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{OTHER} refs/heads/main2\n{COMMIT} refs/heads/main\n^{OTHER}\n")
    if not packed:
        (git / "refs" / "heads" / "main").write_text(OTHER + "\n")
    assert commit_of(folder, {}) == (COMMIT if packed else OTHER)


def test_the_build_leaves_the_commit_where_the_program_reads_it() -> None:
    assert f'= "{PLACE / build_info.WRITTEN}"' in (ROOT / "hatch_build.py").read_text()


def test_nonsense_is_no_commit(tmp_path: Path) -> None:
    assert commit_of(folder_in(tmp_path), {VARIABLE: "<script>"}) == UNKNOWN


def test_what_runs_here_has_a_version_and_a_commit() -> None:
    assert built().version and built().commit and not built().commit.endswith("-dirty")
