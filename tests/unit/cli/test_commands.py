"""The command line without a server: what it understands, prints and refuses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from cli.__main__ import run
from cli.frame.commands import MODULES
from cli.frame.errors import CommandError
from cli.frame.output import emit, table, when
from cli.frame.parser import root
from cli.frame.tree import tree, walk
from cli.frame.values import commas, confirm, duration, moment, positive
from cli.policy.policy import LIMIT
from services.shared.build_info import VARIABLE, built
from tests.fakes.ports import free_ports

NODE = ["-i", "4"]


def parse(*words: str) -> Namespace:
    return root().parse_args(words)


@pytest.mark.parametrize(
    "words",
    [
        *(f"{noun} list" for noun in ("users", "user", "namespace", "namespaces", "ns")), "users ls",
        "groups list", "group show dev",
        *(f"users {verb} alice" for verb in ("create", "c", "new", "destroy", "delete")),
        "users create alice -d Alice -e a@b.c -p http://x/y",
        "users list -i 3", "users list -n alice", "users list -e a@b.c", "users show user@example.com",
        "users destroy -i 3", "users destroy --identifier 3 --force", "users rename -i 3 -r bob", "users mv alice bob",
        *(f"{noun} list -u alice" for noun in ("nodes", "node", "machine", "machines")),
        "nodes ls -t", "nodes list-routes", "nodes lsr -i 4", "nodes register -u alice -k abc",
        *(f"nodes {verb} -i 4" for verb in ("expire", "logout", "exp", "e", "delete", "del")),
        "nodes expire -i 4 -e 2027-01-31T12:00:00Z", "nodes expire -i 4 -d", "nodes rename -i 4 printer",
        "machines delete --id 4", "nodes tag -i 4 -t tag:a,tag:b", "nodes approve-routes -i 4 -r 10.0.0.0/8",
        "nodes approve-routes -i 4 -r ", "nodes backfillips",
        *(f"{noun} create -u alice" for noun in ("preauthkeys", "preauthkey", "authkey", "pre")),
        "preauthkeys c -u 1 --reusable --ephemeral -e 24h --tags tag:a --tags tag:b", "preauthkeys list",
        *(f"preauthkeys {verb} -i 3" for verb in ("expire", "revoke", "exp", "e", "delete", "del", "rm", "d")),
        *(f"{noun} create -e 90d" for noun in ("apikeys", "apikey", "api")),
        *(f"apikeys {verb} -p abc" for verb in ("expire", "revoke", "exp", "e", "delete", "remove", "del")),
        "apikeys expire -i 3", "auth register -u alice --auth-id x", "auth approve --auth-id x",
        "auth reject --auth-id x",
        "policy get", "policy show", "policy set -f x", "policy put -f x", "policy check -f x", "acls set acls.yaml",
        "acls show", "serve", "serve registry policy", "version", "configtest", "health", "generate private-key",
        "gen private-key", "-c x -o json users list", "users list -o json-line", "users -o yaml list",
        "--force users list", "nodes move -i 4 -n bob", "nodes register --namespace alice --key x", "nodes list -w",
        "nodes list --columns id,name", "preauthkeys expire KEY --user alice", "preauthkeys create --namespace alice",
        "preauthkeys list -n alice", "r list -i 4", "routes enable -r 1", "route disable --route 1", "auth list",
        "debug create-node --name x --user a --key k -r 10.0.0.0/8 --route 10.1.0.0/16", "dumpConfig", "dump-config",
        "help", "help nodes list", "man x", *(f"completion {shell}" for shell in ("bash", "zsh", "fish", "powershell")),
        "mockoidc",
        *(f"{noun} list" for noun in ("oauth-clients", "oauth-client", "oauthclients", "oauthclient", "oauth")),
        "oauth-clients create -s all -s devices -t tag:a -d text", "oauth-clients delete -i 3", "users list --historic",
    ],
)  # fmt: skip
def test_every_spelling_of_headscale_is_understood(words: str) -> None:
    assert callable(parse(*words.split(" ")).run)


@pytest.mark.parametrize(
    "words",
    [
        "users bogus", "users --bogus", "bogus", "--bogus",
        "users create", "nodes expire", "nodes delete -i", "apikeys expire",
        "apikeys expire -p a -i 1",
        "users list -i abc", "users list -o xml", "nodes expire -i 4 -e tomorrow", "preauthkeys create -e soon",
        "preauthkeys expire -i -3", "nodes move -i 4", "debug create-node --name x", "mockoidc x", "man",
        "completion tcsh", "serve nonsense", "auth register --auth-id x",
    ],
)  # fmt: skip
def test_wrong_use_ends_with_status_2_and_one_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*words.split(" "))
    assert caught.value.code == 2
    assert "see: headscale" in capsys.readouterr().err


@pytest.mark.parametrize(
    "group", [(), *(one.words for one in walk(tree()) if one.words and not one.runs)], ids=" ".join
)
def test_a_group_without_a_verb_prints_its_help(group: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for words in (group, ("-c", "f", *group), (*group, "-o", "json")):
        assert run(words) == 0
        out, err = capsys.readouterr()
        assert out.startswith(" ".join(("usage: headscale", *group))) and "examples:" in out
        assert err == ""


def test_a_hint_names_only_what_is_alike(capsys: pytest.CaptureFixture[str]) -> None:
    for words, hint in (("--hlp", "; did you mean '--help'?\n"), ("--foo", "--foo\n")):
        with pytest.raises(SystemExit):
            parse("nodes", words)
        assert hint in capsys.readouterr().err


@pytest.mark.parametrize(("module", "names"), MODULES)
def test_each_module_declares_the_names_that_lead_to_it(module: str, names: tuple[str, ...]) -> None:
    nouns = ArgumentParser().add_subparsers()
    import_module(module).declare(nouns)
    assert sorted(nouns.choices) == sorted(names)


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("usrs", "list")
    assert "unknown command 'usrs'; did you mean 'users'?" in capsys.readouterr().err


def test_options_for_all_may_stand_anywhere() -> None:
    for words in (("-c", "f", "users", "list"), ("users", "-c", "f", "list"), ("users", "list", "-c", "f")):
        assert parse(*words).config == "f"


def test_data_is_printed_in_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "1", "name": "ü"}, {"id": "2", "name": "b"}]
    emit(rows, "json")
    assert json.loads(capsys.readouterr().out) == rows
    emit(rows, "json-line")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == rows
    emit(["<a> & b"], "json-line")
    assert capsys.readouterr().out == '["\\u003ca\\u003e \\u0026 b"]\n', "as Go escapes it"
    emit(rows, "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == rows
    emit({"one": rows, "other": rows}, "yaml")
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown) == {"one": rows, "other": rows}
    assert "&" not in shown


def test_a_table_lines_up_and_disarms_what_clients_named_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    table(("ID", "Name"), [("1", "a\x1b[31m"), ("22", "b")])
    assert capsys.readouterr().out.splitlines() == ["ID  Name", "1   a�[31m", "22  b"]


def test_times_are_in_utc_and_absence_has_a_word() -> None:
    assert when(Timestamp(seconds=0)) == "-"
    assert when(None, absent="never") == "never"
    assert when(Timestamp(seconds=1767225600)) == "2026-01-01 00:00:00"


def test_values_are_read_strictly() -> None:
    assert duration("1h30m") == timedelta(minutes=90)
    assert duration("90d") == timedelta(days=90)
    assert moment("2027-01-31T12:00:00+02:00") == datetime(2027, 1, 31, 10, tzinfo=UTC)
    assert commas(" a, b,,") == ["a", "b"]
    for read, text in (
        (duration, "90"),
        (duration, "1h x"),
        (moment, "2027-01-31T12:00:00"),
        (positive, "0"),
        (positive, "²"),
    ):
        with pytest.raises(ArgumentTypeError):
            read(text)


def test_what_cannot_be_undone_is_not_done_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    for typed in ("", "\n", "n\n", "no way\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with pytest.raises(CommandError, match="not confirmed"):
            confirm("sure?", force=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("Yes\n"))
    confirm("sure?", force=False)
    confirm("sure?", force=True)


@pytest.mark.parametrize("content", [b"\xff", b"x" * (LIMIT + 1), None])
def test_an_unreadable_policy_is_refused_before_any_call(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "policy"
    if content is not None:
        path.write_bytes(content)
    arguments = parse("policy", "set", "-f", str(path))
    with pytest.raises(CommandError):
        arguments.run(arguments)


def headscale(*words: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        capture_output=True, text=True, timeout=60, cwd=folder,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", **env},
    )  # fmt: skip


def test_refusals_go_to_standard_error_with_a_remedy(tmp_path: Path) -> None:
    away = headscale("users", "list", folder=tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "none.sock"))
    assert (away.returncode, away.stdout) == (1, "")
    assert "no server answers" in away.stderr
    assert "-c FILE" in away.stderr
    keyless = headscale("users", "list", folder=tmp_path, HEADSCALE_CLI_ADDRESS="127.0.0.1:9")
    assert keyless.returncode == 1
    assert "headscale apikeys create" in keyless.stderr


def test_a_wrong_configuration_is_told_by_configtest_and_serve(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("server_url: nonsense\ngateway: {wokers: 1}\n")
    for command in ("configtest", "serve"):
        done = headscale(command, folder=tmp_path)
        assert done.returncode == 1
        assert "config.yaml:1: server_url" in done.stderr
        assert "did you mean `gateway.workers`?" in done.stderr
        assert "Traceback" not in done.stderr


def test_configtest_passes_with_warnings_unless_it_is_strict_and_opens_what_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    http, metrics, stun, relay = free_ports(4)
    fine = (
        f"server_url: http://127.0.0.1:{http}\nlisten_addr: 127.0.0.1:{http}\nstate_dir: ./state\n"
        f"metrics_listen_addr: 127.0.0.1:{metrics}\n"
        f"derp: {{server: {{stun_listen_addr: '127.0.0.1:{stun}', listen_addr: '127.0.0.1:{relay}'}}}}\n"
    )
    file.write_text(fine)
    done = headscale("configtest", "--strict", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "config.yaml: ok\n", "")
    file.write_text(fine + "users: [a]\n")
    assert headscale("configtest", folder=tmp_path).returncode == 0
    done = headscale("configtest", "--strict", folder=tmp_path)
    assert done.returncode == 1 and "warning: " in done.stderr and "users is not a key of this server" in done.stderr
    (tmp_path / "acl.hujson").write_text('{"acls": [')
    file.write_text(fine + "policy: {path: acl.hujson}\n")
    done = headscale("configtest", folder=tmp_path)
    assert done.returncode == 1 and "policy.path: " in done.stderr and "(line 1" in done.stderr
    file.write_text(fine + "database: {type: postgres, postgres: {host: 127.0.0.1, port: 9, name: hs}}\n")
    done = headscale("configtest", folder=tmp_path)
    assert done.returncode == 1 and "database.postgres.host: PostgreSQL at 127.0.0.1:9 does not answer" in done.stderr
    assert not (tmp_path / "state").exists()


def test_simple_commands_do_not_pay_for_grpc(tmp_path: Path) -> None:
    code = "import sys; from cli.__main__ import run; run(['version']); sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_a_private_key_is_made_in_the_form_of_key_files(tmp_path: Path) -> None:
    done = headscale("generate", "private-key", folder=tmp_path)
    assert done.stdout.startswith("privkey:")
    assert len(done.stdout.strip()) == 72


def test_version_tells_the_commit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0123456789abcdef-dirty")
    built.cache_clear()
    try:
        assert run(["version"]) == 0
        assert "\ncommit: 0123456789abcdef-dirty\n" in capsys.readouterr().out
        assert run(["version", "-o", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["version"], told["commit"], told["dirty"]) == ("v0.29.2", "0123456789abcdef", True)
    finally:
        built.cache_clear()
