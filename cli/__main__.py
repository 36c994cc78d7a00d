"""The program `headscale`: reads a command line, runs it, turns failures into a message and an exit status."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli.frame import output, words
from cli.frame.errors import CommandError
from cli.frame.parser import root


def main() -> NoReturn:
    """Run as a program. A short command skips the interpreter's shutdown, which would take as long again."""
    gc.set_threshold(100_000)
    # A closed pipe (`headscale nodes list | head`) ends us quietly, as it ends other commands.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        status = run(sys.argv[1:])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"headscale: output: {error.strerror}\n")
        status = status or 1
    sys.stderr.flush()
    if "cli.server.serve" in sys.modules:  # a server still has to send its last spans
        sys.exit(status)
    os._exit(status)


def run(argv: Sequence[str]) -> int:
    """Run a command line; the status is 0 for success, 1 for a refusal, 2 for wrong use."""
    if argv and argv[0] in (
        "__complete",
        "__completeNoDesc",
    ):  # from the scripts of shells
        from cli.frame import completion

        completion.answer(argv[1:], described=argv[0] == "__complete")
        return 0
    parser = root()
    modern = bool(os.environ.get("SMARTSCALE_CLI_MODERN"))
    output.choose(words.output_of(argv), modern=modern)  # wrong use is explained in that form too
    output.choose_command(sys.argv[0], words.config_of(argv))
    arguments = parser.parse_args(words.ordered(parser, argv))
    if "run" not in arguments:  # no command, or a group of commands without a verb
        getattr(arguments, "group", parser).print_help()
        return 0
    output.choose(arguments.output, modern=modern or arguments.modern)
    try:
        arguments.run(arguments)
    except CommandError as error:
        output.refusal(str(error), error.remedy)
        return error.status
    except OSError as error:
        output.refusal(f"{error.filename or 'output'}: {error.strerror or error}", "")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    main()
