"""Texts that are nearly policies: seeds from the corpus and from ourselves, cut, spliced and sprinkled with tokens."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.unit.policy.corpus import load, paths

OWN = (
    '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}',
    '// head\n{"groups": {"group:a": ["a@b.c",],}, /* in */ "grants": [{"src": ["group:a"], "dst": ["tag:x"],'
    ' "ip": ["tcp:1-2"]}],}',
    'groups:\n  group:a:\n    - a@b.c\nacls:\n  - action: accept\n    src: [group:a]\n    dst: ["*:22,80-90"]\n',
    'tests: [{src: "a@b.c", accept: ["tag:x:22"]}]\nssh: &a\n  - {action: check, checkPeriod: 12h,'
    " src: [autogroup:member], dst: [autogroup:self], users: [root]}\n",
    '{"postures": {"posture:p": ["node:os == \'linux\'", "node:tsVersion >= \'1.40\'"]},'
    ' "nodeAttrs": [{"target": ["*"], "attr": ["funnel"]}],'
    ' "ipsets": {"ipset:i": ["add 10.0.0.0/8", "remove 10.1.0.0/16"]},'
    ' "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:x"]}, "exitNode": ["tag:x"]}}',
)

TOKENS = (
    "{", "}", "[", "]", ",", ":", '"', "//", "/*", "*/", "\n", "\\", "\\u", "\\ud800", "null", "true", "-1", "1e999",
    "NaN", "*", "*:*", "&a ", "*a ", "!!x ", "- ", "? ", "| ", "> ", "---\n", "...\n", "%YAML 9.9\n", "<<: ", "#", "\t",
    "\x00", "\x1f", "\x7f", "\ufeff", "\u2028", "\ud83d", "\u0130", "²", "group:", "tag:", "autogroup:",
    "autogroup:self", "autogroup:internet", "user:*@", "ipset:", "svc:", "posture:", "host:", "group:a", "tag:x",
    "0.0.0.0/0", "::/0",
    "fe80::1%eth0", "1.2.3.4/33", "10.0.0.0-9.0.0.0", "65536", "99999999999999999999", "0-65535", "tcp:", "proto", "ip",
    "app", "via", "src", "dst", "Src", "users", "acls", "grants", "groups", "hosts", "tests", "sshTests", "ssh",
    "ipsets", "checkPeriod", "always", "1e9h", "-5m", "srcPosture", "nodeAttrs", "ipPool", "derpMap", "disableIPv4",
    "node:os == 'linux'", "node:tsVersion >= '1.'", "custom:x IN ['a','b']", "add ipset:i", "remove *",
)  # fmt: skip


def seeds() -> list[str]:
    """Policy texts to start from; the captured ones where they are present."""
    found = {text for text in (load(path).policy for path in paths()) if text}
    shown = sorted(found, key=lambda text: (len(text), text))
    dumped = [json.dumps(json.loads(text), indent=1) for text in shown[:20] if text.startswith("{") and _plain(text)]
    return [*OWN, *shown, *dumped]


def _plain(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def texts(start: list[str]) -> st.SearchStrategy[str]:
    """Mutated seeds, and token soup."""
    soup = st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=4)), max_size=60).map("".join)
    return st.one_of(_mutated(start), _mutated(start), soup)


@st.composite
def _mutated(draw: st.DrawFn, start: list[str]) -> str:
    text = draw(st.sampled_from(start))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 40)))
        match draw(st.integers(0, 5)):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + draw(st.sampled_from(TOKENS)) + text[at:]
            case 2:
                text = text[:at] + draw(st.text(max_size=5)) + text[end:]
            case 3:
                text = text[:end] + text[at:end] * draw(st.integers(1, 40)) + text[end:]
            case 4:
                other = draw(st.sampled_from(start))
                place = draw(st.integers(0, len(other)))
                text = text[:at] + other[place : place + draw(st.integers(0, 200))] + text[end:]
            case _:
                text = text[:at] + draw(st.sampled_from(TOKENS)) + text[end:]
    return text
