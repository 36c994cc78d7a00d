"""Reads the configuration from its file and the environment into one `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from services.shared.config.checks import check
from services.shared.config.completing import complete
from services.shared.config.environment import apply_environment, keys
from services.shared.config.errors import ConfigError, ConfigProblem
from services.shared.config.keycase import fold_keys
from services.shared.config.legacy import LEGACY_KEYS, normalise
from services.shared.config.model import Config
from services.shared.config.source import Tree, parse_file
from services.shared.config.unknown import IGNORED, OURS, KeyPath, judge
from services.shared.config.usable import usable
from services.shared.config.values import SectionReader, Unknown

_FOLDERS = (Path("/etc/headscale"), Path("~/.headscale"), Path())
_NAMES = ("config.yaml", "config.yml", "config.json")


def find_file(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one named, or the first in the usual folders."""
    named = path or (Path(env["HEADSCALE_CONFIG"]) if env.get("HEADSCALE_CONFIG") else None)
    if named is not None and not named.is_dir():
        return named
    folders = (named,) if named is not None else _FOLDERS
    places = [folder.expanduser() / name for folder in folders for name in _NAMES]
    return next((place for place in places if place.is_file()), None)


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read and check the configuration of a server.

    Raises:
        ConfigError: something in it cannot be used; every problem found is named.
    """
    file = find_file(path, env)
    if file is None and not env.get("HEADSCALE_SERVER_URL"):
        raise ConfigError([_no_file(path or (Path(env["HEADSCALE_CONFIG"]) if env.get("HEADSCALE_CONFIG") else None))])
    problems: list[ConfigProblem] = []
    tree, config, warnings = _read(file, env, problems)
    places = {".".join(path): given.where for path, given in tree.leaves()}
    if any(not problem.key for problem in problems):
        raise ConfigError(problems)
    wrong = {problem.key for problem in problems}
    config = complete(config, lambda key: key in places and not _is_null(tree, key))
    fallback = str(file or "environment")
    config, notes = usable(config)

    def where(key: str) -> str:
        return places.get(key) or _section(places, key, fallback)

    found, noticed = check(config, where)
    problems.extend(problem for problem in found if problem.key not in wrong)
    left_out = [f"{where(key)}: {key} {what} — {remedy}" for key, what, remedy in notes]
    if problems:
        raise ConfigError(problems, (*warnings, *left_out))
    return replace(config, source=file, warnings=(*warnings, *left_out, *noticed), places=places)


def _no_file(folder: Path | None) -> ConfigProblem:
    """Return the problem of a configuration file that is in none of the default folders, or not in the given folder."""
    if folder is not None:
        return ConfigProblem(str(folder), "", f"is a folder without {_NAMES[0]}", "name the file: -c FILE")
    looked = ", ".join(str(folder) for folder in _FOLDERS[:2])
    what = f"is neither in {looked} nor in the current folder"
    return ConfigProblem(_NAMES[0], "", what, "name the file: -c FILE")


def load_client(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read what a command needs to reach its server; no file is no problem, nor are faults in other sections.

    Raises:
        ConfigError: the file cannot be read, or its `cli` or `unix_socket` is wrong.
    """
    problems: list[ConfigProblem] = []
    file = find_file(path, env)
    tree, config, _warnings = _read(file, env, problems)
    problems = [problem for problem in problems if not problem.key or problem.key.startswith(("cli", "unix_socket"))]
    if problems:
        raise ConfigError(problems)
    given = {".".join(path) for path, _ in tree.leaves()}
    return replace(usable(complete(config, given.__contains__))[0], source=file)


def _read(file: Path | None, env: Mapping[str, str], problems: list[ConfigProblem]) -> tuple[Tree, Config, list[str]]:
    tree = parse_file(file, problems) if file is not None else Tree()
    fold_keys(tree, Config, problems)
    warnings = apply_environment(tree, env, problems)
    warnings += normalise(tree, problems)
    base = file.absolute().parent if file is not None else Path.cwd()
    reader = SectionReader(base, env, problems)
    config: Config = reader.section(Config, tree.root)
    warnings += reader.notes + _unknown(reader.unknown, problems)
    return tree, config, warnings


def _unknown(found: list[Unknown], problems: list[ConfigProblem]) -> list[str]:
    """Refuse unknown keys, or warn of them."""
    warnings = []
    known = [path for path, _ in keys()] if found else []
    for one, stray in [(each, each is not whole) for whole in found for each in _split(whole, known)]:
        verdict, name = judge(one.path, known, LEGACY_KEYS, one.empty_above), ".".join(one.path)
        if verdict.refused and not stray:
            problems.append(ConfigProblem(one.given.where, name, verdict.what, verdict.remedy))
        else:
            remedy = f" — {verdict.remedy}" if verdict.remedy else ""
            what = IGNORED if stray else verdict.what
            warnings.append(f"{one.given.where}: {name} {what}{remedy}")
    return warnings


def _split(one: Unknown, known: list[KeyPath]) -> list[Unknown]:
    """The keys below an unknown section, where it is sure what some of them were meant to be; else the section.

    A section of another program is no slip, so none of these is refused.
    """
    if one.empty_above or one.path[0] in {section[0] for section in OURS} or not isinstance(one.given.value, dict):
        return [one]
    leaves = [
        Unknown((*one.path, *path), given)
        for path, given in Tree(one.given.value).leaves()
        if not given.is_empty_section
    ]
    return leaves if any(judge(leaf.path, known).remedy for leaf in leaves) else [one]


def _is_null(tree: Tree, key: str) -> bool:
    found = tree.find(tuple(key.split(".")))
    return found is None or found.is_null


def _section(places: dict[str, str], key: str, fallback: str) -> str:
    """Return the place of the first value of a section, for a key that was not given itself."""
    while key:
        found = next((where for name, where in places.items() if name.startswith(key + ".")), None)
        if found is not None:
            return found
        key = key.rpartition(".")[0]
    return fallback
