"""Every key of ours has its variable too, and lists may be written in every usual way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from services.shared.config import Config, ConfigProblem, load
from services.shared.config.environment import apply_environment, keys, variable
from services.shared.config.source import Tree
from services.shared.config.values import SectionReader, hints_of, key_of
from tests.unit.config.reading import URL, value_at


@pytest.mark.parametrize("text", ["a.com,b.com", "a.com b.com", " a.com,\n b.com ", '["a.com", "b.com"]'])
def test_a_list_in_a_variable_is_split_in_every_usual_way(text: str) -> None:
    env = {"HEADSCALE_SERVER_URL": URL, "HEADSCALE_OIDC_ALLOWED_DOMAINS": text}
    assert load(None, env).oidc.allowed_domains == ("a.com", "b.com")


def sample(kind: Any, default: Any, metadata: Mapping[str, Any]) -> str:
    """Something that is not the default, as one writes it in a variable."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return next(str(choice) for choice in get_args(kind) if choice not in ("", default))
    if isinstance(default, bool) or kind is bool:
        return "false" if default is True else "true"
    if metadata.get("mode"):
        return "0700"
    if get_origin(kind) is tuple:
        return '[{"name": "x"}]' if is_dataclass(get_args(kind)[0]) else '["x", "y"]'
    if isinstance(get_origin(kind), type):
        return '{"x": {"issuer": "y"}}' if is_dataclass(get_args(kind)[1]) else '{"x": "y"}'
    return {int: "47", float: "0.25", timedelta: "77m", Path: "/x/y"}.get(kind, "x")


def leaves(kind: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Every key with a sample of it."""
    out: list[tuple[tuple[str, ...], str]] = []
    for item in fields(kind):
        hint, here = hints_of(kind)[item.name], (*path, key_of(item))
        if item.metadata.get("internal"):
            continue
        if is_dataclass(hint):
            out += leaves(hint, here)
            continue
        default = item.default if item.default is not MISSING else None
        out.append((here, sample(hint, default, item.metadata)))
    return out


EVERY = leaves(Config)


def test_there_is_a_sample_for_every_key() -> None:
    assert [path for path, _ in EVERY] == [path for path, _ in keys()]


@pytest.mark.parametrize(("path", "text"), EVERY, ids=[".".join(path) for path, _ in EVERY])
def test_every_key_of_ours_has_its_variable_too(path: tuple[str, ...], text: str) -> None:
    env, problems = {variable(path): text}, list[ConfigProblem]()
    tree = Tree()
    assert apply_environment(tree, env, problems) == []
    config = SectionReader(Path("/"), env, problems).section(Config, tree.root)
    assert not problems and value_at(config, path) != value_at(Config(), path)
