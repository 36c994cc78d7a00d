"""Reads keys from environment variables, files that they name, and credentials. They take precedence over the file.

HEADSCALE_<KEY>                        every key; of further sign-in providers HEADSCALE_OIDC_PROVIDERS_<NAME>_<KEY>
HEADSCALE_<KEY>_FILE                   secrets only: the value is in that file
$CREDENTIALS_DIRECTORY/<key.path>      secrets only: a systemd credential; HEADSCALE_<KEY> as its name does as well
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from services.shared.config.errors import ConfigProblem
from services.shared.config.legacy import LEGACY_KEYS
from services.shared.config.login import PROVIDER_NAME, ProviderConfig
from services.shared.config.model import Config
from services.shared.config.source import Given, Scalar, Tree, unread
from services.shared.config.spelling import WrongValueError, split_mapping
from services.shared.config.unknown import is_slip
from services.shared.config.values import hints_of, is_section, key_of

PREFIX = "HEADSCALE_"
CREDENTIALS = "CREDENTIALS_DIRECTORY"

_NOT_KEYS = frozenset(("HEADSCALE_CONFIG", "HEADSCALE_TEST_HTTP"))
_FOREIGN = ("HEADSCALE_DEBUG_", "HEADSCALE_PORT", "HEADSCALE_SERVICE_", "HEADSCALE_EXPERIMENTAL_")
"""Variables that Headscale or Kubernetes set for other ends."""
_PROVIDERS = ("oidc", "providers")

KeyPath = tuple[str, ...]


def keys(kind: Any = Config, path: KeyPath = ()) -> Iterator[tuple[KeyPath, bool]]:
    """Every key of the configuration, and whether it is a secret."""
    for item in fields(kind):
        if item.metadata.get("internal"):
            continue
        here = (*path, key_of(item))
        hint = hints_of(kind)[item.name]
        if is_section(hint):
            yield from keys(hint, here)
        else:
            yield here, bool(item.metadata.get("secret"))


def variable(path: KeyPath) -> str:
    """Return the name of the variable for a key."""
    return PREFIX + "_".join(path).upper().replace("-", "_")


def apply_environment(tree: Tree, env: Mapping[str, str], problems: list[ConfigProblem]) -> list[str]:
    """Put variables and credentials over what the file gave; returns warnings."""
    known = set(_NOT_KEYS)
    folder = Path(env[CREDENTIALS]) if env.get(CREDENTIALS) else None
    today = {variable(path) for path, _ in keys()}
    old = ((path, False) for path in LEGACY_KEYS if variable(path) not in today)  # log_level and log.level share one
    _apply(tree, (*keys(), *old), env, folder, known, problems)
    _unfold_providers(tree, problems)
    _apply(tree, _of_providers(tree, env, folder), env, folder, known, problems)
    strange = sorted(name for name in env if name.startswith(PREFIX) and name not in known)
    return [
        f"environment {name}: no such key — {_remedy(name, known)}" for name in strange if not name.startswith(_FOREIGN)
    ]


def _remedy(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown variable: its correct spelling, if only one known variable is that close."""
    meant = [other for other in known if other.startswith(PREFIX) and is_slip(name.lower(), other.lower())]
    return f"did you mean {meant[0]}?" if len(meant) == 1 else "remove it"


def _apply(
    tree: Tree,
    wanted: Iterable[tuple[KeyPath, bool]],
    env: Mapping[str, str],
    folder: Path | None,
    known: set[str],
    problems: list[ConfigProblem],
) -> None:
    for path, secret in wanted:
        name = variable(path)
        known.update((name, f"{name}_FILE") if secret else (name,))
        text, where = env.get(name), f"environment {name}"
        if secret:
            text, where = _secret(path, env, folder, problems)
        if text:  # an empty variable, as compose files make them, is as if unset
            tree.put(path, Given(Scalar(text), where))


def _secret(
    path: KeyPath, env: Mapping[str, str], folder: Path | None, problems: list[ConfigProblem]
) -> tuple[str | None, str]:
    """Return the variable, else the file it names, else a credential; and which of them it was."""
    name = variable(path)
    text, file = env.get(name), env.get(f"{name}_FILE")
    if text and file:
        what = f"is set, and so is {name}_FILE"
        problems.append(ConfigProblem(f"environment {name}", ".".join(path), what, "keep one of them"))
    if text:
        return text, f"environment {name}"
    if file:
        return _read_secret(Path(file), f"environment {name}_FILE", path, problems), f"environment {name}_FILE"
    for credential in (".".join(path), name) if folder is not None else ():
        where = f"environment {CREDENTIALS}/{credential}"
        if folder is not None and (folder / credential).exists():
            return _read_secret(folder / credential, where, path, problems), where
    return None, ""


def _read_secret(file: Path, where: str, path: KeyPath, problems: list[ConfigProblem]) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(ConfigProblem(where, ".".join(path), *unread(file)))
        return None


def _unfold_providers(tree: Tree, problems: list[ConfigProblem]) -> None:
    """Providers given as JSON in one variable, as the sections that other variables may add to."""
    given = tree.find(_PROVIDERS)
    if given is None or not isinstance(given.value, Scalar) or given.is_null:
        return
    try:
        given.value = split_mapping(given.value.text, given.where)
    except WrongValueError as error:
        problems.append(ConfigProblem(given.where, ".".join(_PROVIDERS), error.what, error.remedy))
        given.value = {}


def _of_providers(tree: Tree, env: Mapping[str, str], folder: Path | None) -> Iterator[tuple[KeyPath, bool]]:
    """The keys of the further sign-in providers that the file, the variables or the credentials name."""
    given = tree.find(_PROVIDERS)
    names = set(given.value) if given is not None and isinstance(given.value, dict) else set()
    below = list(keys(ProviderConfig))
    start = variable(_PROVIDERS) + "_"
    for name in env:
        # The longest key that fits: a provider may be called `a_client`, but hardly `a_client_id`.
        ends = [
            end for path, _ in below for end in ("_" + "_".join(path).upper(),) if name.endswith((end, end + "_FILE"))
        ]
        if name.startswith(start) and ends:
            end = max(ends, key=len)
            names.add(name.removeprefix(start).removesuffix("_FILE").removesuffix(end).lower().replace("_", "-"))
    for file in sorted(folder.glob("oidc.providers.*.*")) if folder is not None else ():
        names.add(file.name.split(".")[2])
    for provider in sorted(name for name in names if PROVIDER_NAME.match(name)):
        yield from (((*_PROVIDERS, provider, *path), secret) for path, secret in below)
