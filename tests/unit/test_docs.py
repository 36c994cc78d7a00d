"""What the pages for people say can be followed: links lead somewhere, files exist, commands are understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from cli.frame.parser import root as command_line
from services.shared.config import ConfigError, load
from services.shared.config.environment import PREFIX, keys, variable
from services.shared.config.legacy import LEGACY_KEYS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(
    r"`((?:\.ci|cli|deploy|docs|gateway|proto|requirements|scripts|services|tests)(?:/[\w.-]+)+/?)(?: \w+)?`"
)
_SHOWN = re.compile(r"^(?: {4}(?: {3})?|ExecStart=)\$? ?(.*\bheadscale .*)$", re.MULTILINE)
_INLINE = re.compile(r"`(headscale [a-z][^`]*)`")
_YAML = re.compile(r"^```yaml\n(.*?)^```$|^ +```yaml\n(.*?)^ +```$", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"`([a-z_]+(?:\.[a-z_0-9]+)+)(?::[^`]*)?`")
_VARIABLES = re.compile(rf"\b{PREFIX}[A-Z0-9_]+\b")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_MAKE = re.compile(r"`make ([a-z0-9 -]+)[`A-Z]|^ {4}make ([a-z0-9-]+)", re.MULTILINE)


def name(page: Path) -> str:
    """The page, as seen from the top."""
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """What a link into a page may name."""
    titles = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(lines: list[str]) -> Iterator[list[str]]:
    """The words of each command line, without what the shell takes."""
    for line in lines:
        if line.startswith(("grpcurl", "curl", "python", "ln", "#")):
            continue
        words = shlex.split(line.replace("|", " | ").replace(">", " > "), comments=True)
        while words and words[0].rpartition("/")[2] != "headscale":
            words = words[1:]
        ends = [words.index(stop) for stop in ("|", ">", ";", "&&") if stop in words]
        words = words[1 : min(ends, default=len(words))]
        if words and words[0] != "help":
            yield words


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_file_that_is_named_exists(page: Path) -> None:
    assert [path for path in _PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_test_that_is_named_exists(page: Path) -> None:
    named = _TEST.findall(page.read_text())
    assert [(file, test) for file, test in named if f"def {test}(" not in (ROOT / file).read_text()] == []


def test_each_promise_of_security_names_a_test() -> None:
    promises = (ROOT / "docs" / "security.md").read_text().partition("## Promises")[2].partition("\n## ")[0]
    rows = [row for row in promises.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 15
    assert [row for row in rows if not _TEST.search(row)] == []


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says against it, if anything."""
    try:
        command_line().parse_args(words)
    except SystemExit:
        return capsys.readouterr().err
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_command_that_is_shown_is_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands(_SHOWN.findall(page.read_text()))
    assert [said for words in shown if (said := refusal(words, capsys))] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_command_that_is_mentioned_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mentioned = commands(_INLINE.findall(page.read_text()))
    said = [said for words in mentioned if (said := refusal(words, capsys))]
    assert [line for line in said if "the following arguments are required" not in line] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_key_of_a_configuration_that_is_shown_exists(page: Path, tmp_path: Path) -> None:
    unknown = []
    for blocks in _YAML.findall(page.read_text()):
        file = tmp_path / "config.yaml"
        file.write_text(dedent("".join(blocks)))
        try:
            load(file, {})
        except ConfigError as error:
            unknown += [problem.key for problem in error.problems if problem.what == "no such key"]
    assert unknown == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=name)
def test_each_key_and_variable_that_is_mentioned_exists(page: Path) -> None:
    known = {path for path, _ in keys()} | set(LEGACY_KEYS)
    sections = {path[:depth] for path in known for depth in range(1, len(path))}
    named = [tuple(match.split(".")) for match in _DOTTED.findall(page.read_text())]
    ours = [path for path in named if path[:1] in sections and path[1] not in ("hujson", "yaml", "v1", "admin")]
    assert [path for path in ours if path not in known | sections] == []
    variables = {variable(path) for path in known} | {f"{variable(path)}_FILE" for path in known} | {f"{PREFIX}CONFIG"}
    said = set(_VARIABLES.findall(page.read_text()))
    assert {word for word in said if not word.startswith(f"{PREFIX}OIDC_PROVIDERS_")} - variables == set()


def test_each_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for page in PAGES for pair in _MAKE.findall(page.read_text()) for word in " ".join(pair).split()}
    assert named and named - targets == set()


def test_the_index_leads_to_every_page() -> None:
    indexes = [page for page in PAGES if page.parent != ROOT and page.name == "README.md"]
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for index in indexes
        for link in _LINK.findall(index.read_text())
    }
    assert {page for page in PAGES if page.parent != ROOT and page != ROOT / "docs" / "README.md"} - linked == set()


def test_each_module_in_the_drawings_of_the_architecture_exists() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    files = [path for part in ("cli", "gateway", "services") for path in (ROOT / part).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    names = {".".join(module.split(".")[start:]) for module in modules for start in range(len(module.split(".")))}
    drawn = {
        word
        for block in _FENCE.findall(page.partition("## Data flow in each room")[2].partition("\n## ")[0])
        for word in re.findall(r"(?<![\w/.])[a-z]\w*(?:[._]\w+)+(?![\w/])", block)
    }
    assert len(drawn) > 80
    methods = {"derp.server", "server.adopt", "handovers.relay", "clients.RegistrySubjects"}
    assert drawn - names - methods == set()
    tabled = {word for word in _DOTTED.findall(page) if word.startswith(("gateway.", "services."))}
    settings = {".".join(path[: depth + 1]) for path, _ in keys() for depth in range(len(path))}
    assert tabled - settings - modules == set()
