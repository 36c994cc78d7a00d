"""`headscale generate config`: an example that starts as it is, and whose comments are keys with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from services.shared.config import Config, load
from services.shared.config.environment import keys
from services.shared.config.example import VALUES, example
from services.shared.config.showing import shown
from tests.unit.config.reading import at

OTHERS = ("gateway", "services", "bus", "telemetry", "tuning")


def uncommented(text: str) -> str:
    return re.sub(r"(?m)^( *)#(?! )", r"\1", text)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_example_is_used_without_a_change_and_a_warning(tmp_path: Path) -> None:
    config = load(written(tmp_path / "config.yaml", example()), {})
    assert config.warnings == ()
    for key, value in VALUES.items():
        found = at(config, key)
        assert (f"{found:04o}" if key == "unix_socket_permission" else str(found)).lower() == value.lower(), key


@pytest.mark.parametrize("complete", [False, True])
def test_every_key_is_there_with_its_meaning(complete: bool) -> None:
    text = example(complete=complete)
    data = yaml.safe_load(uncommented(text))
    for path, _ in keys():
        if path[0] in OTHERS and not complete:
            assert path[0] not in data
            continue
        here = data
        for name in path:
            assert name in here, ".".join(path)
            here = here[name]
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r" *#?[a-z0-9_]+:.*", line) and not line.endswith(":"):
            assert lines[number - 1].lstrip().startswith("# "), f"{line} has no comment"


def test_the_comments_are_the_defaults(tmp_path: Path) -> None:
    text = uncommented(example(complete=True))
    config = load(written(tmp_path / "config.yaml", text), {})
    wanted, found = shown(Config()), shown(config)
    for path, _ in keys():
        key = ".".join(path)
        if key in VALUES or key == "tls_letsencrypt_listen":  # a port's name is read as its number
            continue
        expected, given = wanted, found
        for name in path:
            expected, given = expected[name], given[name]  # type: ignore[assignment,index]
        if expected not in (None, "") and not str(expected).startswith("/var"):
            assert given == expected, key
