"""The command: declares every noun, runs one, turns failures into a line and an exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from cli.errors import CommandError
from cli.parser import root


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0 for success, 1 for a refusal, 2 for wrong use."""
    # A closed pipe (`headscale nodes list | head`) ends us quietly, as it ends other commands.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = root()
    arguments = parser.parse_args(argv)
    if not arguments.noun:
        parser.print_help()
        return 0
    try:
        arguments.run(arguments)
    except CommandError as error:
        sys.stderr.write(f"headscale: {error}\n")
        if error.remedy:
            sys.stderr.write(f"  {error.remedy}\n")
        return error.status
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
