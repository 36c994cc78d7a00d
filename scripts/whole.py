"""Exits with status 0 if each file that the installed packages recorded is there. Knows no package by name."""

import sys
import sysconfig
from os.path import exists  # much faster than Path.exists for thousands of files
from pathlib import Path


def whole(home: Path) -> bool:
    """Return whether no package in a folder lost a file, and none was being replaced when pip was ended."""
    if not home.is_dir():  # the packages of another Python, after an upgrade
        return False
    if any(home.glob("~*")):  # pip renames a package so before it replaces it
        return False
    for folder in home.glob("*.dist-info"):
        try:
            lines = (folder / "RECORD").read_text("utf-8").splitlines()
        except OSError:
            return False
        paths = (line.rsplit(",", 2)[0].strip('"') for line in lines)
        if not all(exists(f"{home}/{path}") for path in paths if not path.endswith(".pyc")):  # noqa: PTH110
            return False
    return True


sys.exit(not whole(Path(sysconfig.get_path("purelib"))))
