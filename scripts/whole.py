"""Exits with status 0 if each file that the installed packages recorded is there. Written for any Python 3."""

import os
import sys
import sysconfig

home = sysconfig.get_path("purelib")
if not os.path.isdir(home):  # the packages of another Python, after an upgrade
    sys.exit(1)
for folder in os.listdir(home):
    if folder.startswith("~"):  # pip renames a package so before it replaces it
        sys.exit(1)
    if not folder.endswith(".dist-info"):
        continue
    try:
        with open(os.path.join(home, folder, "RECORD"), encoding="utf-8") as record:
            paths = [line.rsplit(",", 2)[0].strip('"') for line in record]
    except OSError:
        sys.exit(1)
    if not all(os.path.exists(os.path.join(home, path)) for path in paths if not path.endswith(".pyc")):
        sys.exit(1)
