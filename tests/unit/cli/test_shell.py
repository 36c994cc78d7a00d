"""What is made from the parser: completion, manual pages, help; and how answers look."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import node_pb2, user_pb2

from cli.frame import output
from cli.frame.completion import SCRIPTS, candidates
from cli.frame.headscale_output import shape
from cli.frame.manual import name_of, page
from cli.frame.output import data
from cli.frame.parser import root
from cli.frame.tables import lines
from cli.frame.tree import Command, tree, walk
from cli.link import progress

PROGRAM = Path(sys.executable).with_name("headscale")
COMMANDS = [command for command in walk(tree()) if command.summary]


def names(command: Command) -> str:
    return " ".join(command.words) or "headscale"


def words(*typed: str) -> list[str]:
    return [word for word, _ in candidates(list(typed))[0]]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.runs], ids=names)
def test_help_of_each_command_has_examples_that_are_understood(command: Command) -> None:
    examples = (command.parser.epilog or "").replace("\\\n", "").splitlines()[1:]
    assert examples, "no example"
    for example in examples:
        typed = shlex.split(example.partition(" > ")[0].partition(" | ")[0])
        typed = typed[typed.index("headscale") + 1 :]
        assert root().parse_args(typed).noun, example
    mine = [example for example in examples if " ".join(command.words) in example]
    assert mine, examples


@pytest.mark.parametrize("command", COMMANDS, ids=names)
def test_the_page_of_a_command_has_all_that_its_parser_knows(command: Command) -> None:
    text = page(command).replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
    for action in command.options:
        assert ", ".join(action.option_strings) in text
        assert re.sub(r"\s+", " ", action.help or "") in text
    for action in command.positionals:
        assert str(action.metavar or action.dest.upper()) in text
    for verb in command.verbs:
        if verb.summary:
            assert f"headscale {' '.join(verb.words)}\n{verb.summary}" in text
    for alias in command.aliases:
        assert alias in text
    for head in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"):
        assert f".SH {head}\n" in text


def test_man_writes_a_page_for_each_command(tmp_path: Path) -> None:
    done = subprocess.run([PROGRAM, "man", str(tmp_path / "man1")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "man1").iterdir()) == sorted(
        f"{name_of(command)}.1" for command in COMMANDS
    )


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_pages_are_roff_without_complaints() -> None:
    text = "".join(page(command) for command in COMMANDS)
    done = subprocess.run(
        ["groff", "-Kutf8", "-man", "-Tutf8", "-ww", "-z"], input=text, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_each_word_is_completed_from_the_parser() -> None:
    assert words("no") == ["nodes"]
    assert {"users", "nodes", "policy", "completion"} <= set(words(""))
    assert "dumpConfig" not in words("")
    assert words("nodes", "list-") == ["list-routes"]
    assert words("-c", "x", "-o", "") == ["json", "json-line", "yaml"]
    assert words("machines", "expire", "--ex") == ["--expiry"]
    assert words("serve", "re") == ["registry"]
    assert words("completion", "") == list(SCRIPTS)
    assert candidates(["policy", "set", "-f", ""])[1] == ":0", "a file may stand there"
    assert candidates(["nodes", "delete", "-i", ""]) == ([], ":4")
    assert candidates(["no", "such", "command", ""])[1] == ":4"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("headscale no", ["nodes"]),
        ("headscale nodes list-", ["list-routes"]),
        ("headscale nodes list --wi", ["--wide"]),
        ("headscale policy set here.h", ["here.hujson"]),
        ("headscale -o json-", ["json-line"]),
    ],
)
def test_bash_completes_with_the_script(tmp_path: Path, line: str, wanted: list[str]) -> None:
    (tmp_path / "here.hujson").touch()
    typed = line.split(" ")
    script = (
        f"export PATH={PROGRAM.parent}:$PATH; source <(headscale completion bash)\n"
        f"COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; __headscale_complete\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stdout.split() == wanted, done.stderr


def test_a_table_drops_spare_columns_then_wraps_lists_and_texts() -> None:
    heads = ("ID", "Key", "Addresses", "Name")
    rows = [("1", "k" * 20, "100.64.0.1, fd7a:115c:a1e0::1", "名前"), ("2", "k", "", "x")]
    assert list(lines(heads, rows, 0, ("Key",), colours=False))[1].endswith("fd7a:115c:a1e0::1  名前")
    assert list(lines(heads, rows, 60, ("Key",), colours=False))[:3] == [
        "ID  Key                   Addresses                     Name",
        "1   " + "k" * 20 + "  100.64.0.1,                   名前",
        "                          fd7a:115c:a1e0::1",
    ]
    narrow = list(lines(heads, rows, 40, ("Key",), colours=False))
    assert narrow[0] == "ID  Addresses                      Name"
    assert narrow[-1] == "(no room for Key; -o json has all)"
    assert list(lines(heads, rows, 30, ("Key", "Name"), colours=False))[1:3] == [
        "1   100.64.0.1,           名前", "    fd7a:115c:a1e0::1",
    ]  # fmt: skip


VALUES = (
    "hskey-authreq-0123456789abcdef01234567", "mkey:" + "a" * 64, "100.64.0.1",
    "fd7a:115c:a1e0:ab12:4843:cd96:6258:b0a",
    "2026-11-30 00:27:49", "https://idp.example.com/realms/example", "10.20.0.0/16", "a-host-with-a-long-name.example",
)  # fmt: skip


@pytest.mark.parametrize("room", [1, 20, 40, 60, 80, 120])
def test_no_value_of_a_table_is_ever_cut(room: int) -> None:
    rows = [[value, f"{value}, {other}", other] for value, other in itertools.permutations(VALUES, 2)]
    shown = list(lines(("One", "List", "Other"), rows, room, ("Other",), colours=False))
    for value in VALUES:
        assert sum(line.count(value) for line in shown) >= 2 * (len(VALUES) - 1)
    assert "…" not in "".join(shown)


def test_states_have_colours() -> None:
    assert list(lines(("A",), [("online",), ("offline",)], 0, colours=True)) == [
        "\x1b[1mA      \x1b[0m", "\x1b[32monline \x1b[0m", "\x1b[31moffline\x1b[0m",
    ]  # fmt: skip


def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def coloured() -> bool:
        output.table(("A",), [("x",)])
        return "\x1b[" in capsys.readouterr().out

    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured()


NODE = node_pb2.Node(
    id=3, given_name="web", ip_addresses=["100.64.0.1"], expiry=Timestamp(seconds=60, nanos=5),
    user=user_pb2.User(id=1, name="alice"), register_method=node_pb2.REGISTER_METHOD_OIDC,
)  # fmt: skip


def test_data_of_headscale_has_gos_shape() -> None:
    assert shape(NODE, yaml=False) == {
        "id": 3, "given_name": "web", "ip_addresses": ["100.64.0.1"], "expiry": {"seconds": 60, "nanos": 5},
        "user": {"id": 1, "name": "alice"}, "register_method": 3,
    }  # fmt: skip
    written = shape(NODE, yaml=True)
    assert (written["givenname"], written["lastseen"], written["online"], written["tags"]) == ("web", None, False, [])


def test_modern_data_has_null_for_what_is_absent() -> None:
    output.choose("json", modern=True)
    try:
        shown = data(NODE)
    finally:
        output.choose("", modern=False)
    assert (shown["id"], shown["lastSeen"], shown["expiry"]) == ("3", None, "1970-01-01T00:01:00.000000005Z")
    assert shown["user"]["createdAt"] is None
    assert list(shown)[:2] == ["id", "machineKey"]


class Slow:
    """A call that answers at the third look."""

    def __init__(self) -> None:
        self.looks = 0

    def result(self, timeout: float) -> str:
        self.looks += 1
        if self.looks < 3:
            raise TimeoutError
        return "done"

    def cancel(self) -> None:
        raise AssertionError("it succeeded")


def test_a_long_call_shows_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert progress.wait(Slow(), "hs:50443", TimeoutError) == "done"
    told = capsys.readouterr().err
    assert "waiting for hs:50443" in told
    assert told.endswith("\r\x1b[K"), "and leaves nothing behind"
