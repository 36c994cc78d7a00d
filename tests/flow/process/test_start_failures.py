"""Each way in which a start can fail, provoked, and every word that a person reads then; no message is left out.

`start_failures` has the rows and `start_failures.txt` their texts. After a change of a message, look at the new text
(`UPDATE=1` writes the file), read it aloud, and commit it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flow.process.start_failures import ROWS
from tests.flow.process.start_faults import Place, Row

ROOT = Path(__file__).parents[3]
TEXTS = Path(__file__).with_suffix("").with_name("start_failures.txt")
Start = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Run a job in the host that forks."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flow.process.start_host"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as host:  # fmt: skip
        assert host.stdin is not None and host.stdout is not None

        def ask(job: dict[str, Any]) -> dict[str, Any]:
            host.stdin.write(json.dumps(job) + "\n")
            host.stdin.flush()
            answer: dict[str, Any] = json.loads(host.stdout.readline())
            return answer

        yield ask
        host.stdin.close()


@pytest.fixture
def place() -> Iterator[Place]:
    """A folder that other users reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="start-", dir="/tmp"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        yield Place(folder, stack)
    shutil.rmtree(folder)


def texts() -> dict[str, str]:
    """The text of each row."""
    found = re.split(r"(?m)^## (.*)\n", TEXTS.read_text("utf-8"))[1:]
    return dict(zip(found[::2], (text.rstrip("\n") for text in found[1::2]), strict=True))


def arrange(row: Row, place: Place) -> dict[str, Any]:
    """Put a row's things into its folder; returns the job."""
    place.set(row.changes)
    row.arrange(place)
    config = place.folder / "hs.yaml"
    config.write_bytes(
        row.raw.encode("latin-1") if row.raw is not None else yaml.safe_dump(place.config, sort_keys=False).encode()
    )
    if row.root:
        for path in (place.folder, *place.folder.rglob("*")):
            if path.name not in row.of_root:
                os.chown(path, 65534, 65534)
    named = ["-c", place.filled(row.config)] if row.config else []
    env = {name: place.filled(value) for name, value in row.env.items()}
    return {
        "words": [*named, *row.words],
        "env": {"PATH": "/usr/bin:/bin", "HOME": str(place.folder), **env},
        "folder": str(place.folder),
        **{name: place.filled(value) for name, value in row.job.items()},
    }


def shown(output: str, place: Place) -> str:
    """What was printed, with names for what is different each time."""
    text = output.replace(str(place.folder), "{folder}")
    for name, port in place.ports.items():
        text = re.sub(rf"\b{port}\b", f"{{{name}}}", text)
    for found, replacement in place.names.items():
        text = text.replace(found, f"{{{replacement}}}")
    name = Path("/proc/self/comm").read_text().strip()
    text = text.replace(f"by {name} (process {os.getpid()})", "by {name} (process {pid})")
    text = re.sub(rf"\b{os.getpid()}\b", "{pid}", text)
    text = text.replace(str(Path(sys.executable).with_name("headscale")), "{headscale}")
    text = re.sub(r"(?m)^\d{4}-\S+Z (INFO|WARN|ERROR) ", r"\1 ", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "{date}", text)
    text = re.sub(r"known up to \d+", "known up to {version}", text)
    return re.sub(r"(?m) logger=\S+$", "", text).rstrip("\n")


@pytest.mark.parametrize("name", ROWS)
def test_a_start_that_fails_names_key_reason_and_remedy(name: str, start: Start, place: Place) -> None:
    row = ROWS[name]
    if row.root and os.geteuid():
        pytest.skip("root alone can run it as another user")
    done = start(arrange(row, place))
    text = shown(done["output"], place)
    if os.environ.get("UPDATE"):
        keep(name, text)
    assert done["status"] == 1, text
    assert text == texts()[name]
    for wrong in ("Traceback", "[Errno", "\\u2014", "['", "\\x"):
        assert wrong not in text


def keep(name: str, text: str) -> None:
    """Write the text of a row into the file, in the order of the table."""
    known = {**(texts() if TEXTS.exists() else {}), name: text}
    TEXTS.write_text("".join(f"## {row}\n{known[row]}\n\n" for row in ROWS if row in known), "utf-8")


PARTS = (
    "cli/server/serve.py",
    "gateway/process/certificates.py",
    "services/auth/sign_in_wiring.py",
    "services/derp/wiring.py",
    "services/shared/certificates/pairs.py",
    "services/shared/config/bounds.py",
    "services/shared/config/environment.py",
    "services/shared/config/legacy.py",
    "services/shared/config/load.py",
    "services/shared/config/login_checks.py",
    "services/shared/config/process_checks.py",
    "services/shared/config/source.py",
    "services/shared/config/spelling.py",
    "services/shared/config/stack.py",
    "services/shared/config/tailnet_checks.py",
    "services/shared/config/values.py",
    "services/shared/db/database.py",
    "services/shared/db/file.py",
    "services/shared/db/place.py",
    "services/shared/file_rights.py",
    "services/shared/preflight/database.py",
    "services/shared/preflight/inspection.py",
    "services/shared/preflight/ports.py",
    "services/shared/preflight/room.py",
    "services/shared/runtime/process.py",
)
"""The modules that explain why a start fails. A text of theirs that no row shows fails the test below."""

_CHECKED = "the checks of the configuration come first and say it; this guards callers that skip them"
_YAML = "part of a message of libyaml, which is not shown"
_RUNNING = "a server that runs says it; it cannot come up at the start"
ELSEWHERE = {
    "set the name or address that clients dial": _CHECKED,
    "restore the file, or remove it to make a new key": _CHECKED,
    "name a PEM certificate and its key": _CHECKED,
    "needs a mesh_key": _CHECKED,
    "set the same one at all relays of the region": _CHECKED,
    "make one with 'openssl rand -hex 32'": _CHECKED,
    "is not a JSON object": "a text that begins with { and is JSON is an object",
    'write it as in {"a": "b"}': "as above",
    "is not a JSON list": "a text that begins with [ and is JSON is a list",
    'write it as in ["a", "b"]': "as above",
    "a datetime without a zone is not an instant": "a fault of ours",
    "the database file {} {} under the running server; nothing is stored any more: put it back, or stop the server, "
    "restore a backup and start it again": _RUNNING,
    "the database file {} cannot be seen: {}": _RUNNING,
    "was removed": _RUNNING,
    "was replaced": _RUNNING,
    "database.sqlite.path: {}; {}": "the command line says it of a server that runs; the start logs the parts",
    "PostgreSQL database {} on {}": "tests/flow/moving starts servers on PostgreSQL databases of others",
    "make an empty database, name it in database.postgres.name, and run `headscale import --from postgres://{}@{}/{}` "
    "to take it over; the old one stays as it is; to go back, start Headscale again": "as above",
    "{} cannot be listened on: {}": "no error of bind but those that have texts of their own could be provoked",
    "choose another address": "as above",
    "{} is in use by another program": "tests/unit/preflight/test_occupant.py: the process is another user's",
    "end that program (as root, `ss -ln{}p 'sport = :{}'` shows it), or choose another port": "as above",
    "{} is for {}, and clients dial {}": "a warning",
    "it is left out": "a warning",
    "no name": "a warning",
    "environment {}: no such key — {}": "a warning",
    "{}: {} is a section — write {}.enabled: {}": "a warning",
    "{}: {} is a section, and false for it is ignored — remove it": "a warning",
    "provider close": "the name of a task",
    "unexpected end of stream": _YAML,
    "<block end>": _YAML,
    "mapping values are not allowed": _YAML,
    "could not find expected ':'": _YAML,
    "undefined alias": _YAML,
    "cannot start any token": _YAML,
    "smartscale serve {}": "the name of a program",
    "make {} writable": _CHECKED,
    "an authority in it is signed with an outdated hash": "the library of the tests makes no such certificate",
}
"""Texts that no row can show, and why."""
_SQL = ("PRAGMA ", "SELECT ", "SHOW ")


def test_every_text_of_the_start_path_is_in_the_table() -> None:
    whole = "\n".join(texts().values())
    missing = [
        f"{part}:{line}: {shape}"
        for part in PARTS
        for line, shape, pattern in templates(ROOT / part)
        if not re.search(pattern, whole) and shape not in ELSEWHERE and not shape.startswith(_SQL)
    ]
    assert not missing, "\n".join(missing)


def templates(module: Path) -> Iterator[tuple[int, str, str]]:
    """Each text of a module for people who start a server: its line, its shape, and a pattern of what it becomes."""
    tree = ast.parse(module.read_text("utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) if _is_other(node) for inner in ast.walk(node)}
    # Tables of a module: what old keys became, and parts of others' messages.
    tables = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    skipped |= {id(inner) for table in tables if "Path" in ast.unparse(table) for inner in ast.walk(table)}
    skipped |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        words = [str(part.value) if isinstance(part, ast.Constant) else None for part in parts]
        shape = "".join("{}" if word is None else word for word in words)
        if isinstance(parts[0], ast.Constant) and not isinstance(parts[0].value, str):
            continue
        if len(re.findall(r"[a-z]{2,}", shape)) >= 2 and " " in shape.strip():
            pattern = "".join(r"[^\n]*?" if word is None else re.escape(word) for word in words)
            yield node.lineno, shape, pattern.replace(r"headscale\ ", r"headscale (?:-c \S+ )?")


def _is_other(node: ast.AST) -> bool:
    """Whether a node is no text of a failure: docstrings, log events, warnings."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return "warning" in node.name or node.name in ("_line", "normalise", "_untrusted")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "_line"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("info", "warning", "exception", "debug", "compile") or (
            node.func.attr == "error" and isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
        )
    return False
