"""Write the tables of docs/configuration.md from the description of the keys. `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

from services.shared.config.described import KeyInfo, described

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
START = "## Top level\n"


def main() -> None:
    """Replace the tables, and leave what stands before them."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text[: text.index(START)] + tables(), encoding="utf-8")


def tables() -> str:
    """A table for each section, in the order of the file."""
    sections: dict[str, list[KeyInfo]] = {}
    for key in described():
        sections.setdefault(key.section, []).append(key)
    return "\n".join(table(name, keys) for name, keys in sections.items())


def table(section: str, keys: list[KeyInfo]) -> str:
    """One section with its heading."""
    heading = f"## `{section}`\n" if section else START
    rows = [f"| `{key.name}` | {f'`{key.default}` ' if key.default else ''}| {said(key)} |" for key in keys]
    return "\n".join([heading, "| key | default | meaning |", "|---|---|---|", *rows, ""])


def said(key: KeyInfo) -> str:
    """What a key means, and whether it is a secret."""
    return f"{key.meaning} Secret." if key.secret else key.meaning


if __name__ == "__main__":
    main()
