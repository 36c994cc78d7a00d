"""Words of a command line in each order that cobra takes."""

from __future__ import annotations

import itertools

import pytest

from cli.frame.parser import root
from cli.frame.words import ordered, output_of

CREATE = ["preauthkeys", "create"]
MEANT = {"user": "1", "reusable": True, "ephemeral": False, "tags": ["tag:a"], "output": "json"}


def read(*words: str) -> dict[str, object]:
    parser = root()
    return vars(parser.parse_args(ordered(parser, words)))


@pytest.mark.parametrize("places", list(itertools.product(range(3), repeat=4)))
def test_options_may_stand_before_between_and_after_the_words_of_a_command(places: tuple[int, ...]) -> None:
    options = (["--user", "1"], ["--reusable"], ["--tags=tag:a"], ["-o", "json"])
    groups: list[list[str]] = [[], [], []]
    for option, place in zip(options, places, strict=True):
        groups[place] += option
    words = [*groups[0], CREATE[0], *groups[1], CREATE[1], *groups[2]]
    assert MEANT.items() <= read(*words).items(), words


@pytest.mark.parametrize("noun", ["nodes", "users", "preauthkeys", "list"])
def test_a_value_that_is_a_word_of_commands_is_a_value(noun: str) -> None:
    assert read("--user", noun, "nodes", "list")["user"] == noun
    assert read("nodes", "--user", noun, "list")["user"] == noun
    assert read("nodes", "list", "--user", noun)["user"] == noun


@pytest.mark.parametrize("true", ["1", "t", "T", "TRUE", "true", "True"])
@pytest.mark.parametrize("false", ["0", "f", "F", "FALSE", "false", "False"])
def test_switches_take_a_value_and_the_last_one_wins(true: str, false: str) -> None:
    assert read(*CREATE, f"--reusable={true}", f"--ephemeral={false}").items() >= {
        "reusable": True, "ephemeral": False,
    }.items()  # fmt: skip
    assert read(*CREATE, "--reusable", f"--reusable={false}")["reusable"] is False
    assert read(*CREATE, f"--reusable={false}", f"--reusable={true}")["reusable"] is True
    assert read("nodes", "list", f"-w={true}")["wide"] is True
    assert read(f"--force={true}", "nodes", "delete", "-i", "4")["force"] is True


@pytest.mark.parametrize("value", ["", "yes", "tRUE", "2"])
def test_a_switch_with_another_value_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*CREATE, f"--reusable={value}")
    assert caught.value.code == 2
    assert "--reusable is true or false" in capsys.readouterr().err


def test_arguments_may_stand_between_options() -> None:
    assert read("users", "rename", "--force", "alice", "-o", "json", "bob")["names"] == ["alice", "bob"]
    assert read("nodes", "rename", "new", "-i", "4")["new_name"] == "new"
    assert read("policy", "set", "--reason", "why", "file", "-o=json")["path"] == "file"


def test_a_value_may_begin_with_a_dash() -> None:
    assert read("users", "create", "bob", "-d", "- Bob -")["display_name"] == "- Bob -"
    assert read("policy", "check", "-f", "-")["file"] == "-"
    assert read("users", "create", "--", "-x")["name"] == "-x"
    assert read("nodes", "list", "-ualice")["user"] == "alice"
    assert read("nodes", "list", "-u=alice")["user"] == "alice"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("nodes list --foo", "headscale nodes list"), ("--foo nodes list", "headscale"),
        ("users list -x", "headscale users list"), ("version now", "headscale version"),
        ("nodes delete -i --force", "headscale nodes delete"),
    ],
)  # fmt: skip
def test_wrong_use_points_at_the_help_of_the_command(
    words: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(*words.split())
    shown = capsys.readouterr().err
    assert shown.startswith(f"{command}: ") and shown.endswith(f"  see: {command} --help\n"), shown
    assert "[" not in shown, "no Python list"


def test_the_form_of_the_output_is_known_before_the_words_are_read() -> None:
    assert output_of(["nodes", "list", "-o", "json"]) == "json"
    assert output_of(["--output=yaml", "nodes"]) == "yaml"
    assert output_of(["-o=json-line"]) == "json-line"
    assert output_of(["-o", "xml"]) == output_of(["-o"]) == output_of([]) == ""
