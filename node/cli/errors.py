"""From failures to exit codes: every expected failure is one line and a code that scripts can rely on."""

from __future__ import annotations

import click

from chain.errors import LocalFault, TileworkError

REFUSED, USAGE, UNREACHABLE, UNFULFILLED, LOCAL_FAULT, INTERRUPTED = 1, 2, 3, 4, 5, 130
EXIT_CODES = (
    (0, "done"),
    (REFUSED, "refused: the input or the request is not acceptable"),
    (USAGE, "the command line is wrong"),
    (UNREACHABLE, "no node answers"),
    (UNFULFILLED, "what was waited for did not happen, or failed"),
    (LOCAL_FAULT, "this machine is at fault: disk, port, key file, device"),
    (INTERRUPTED, "stopped with Ctrl-C"),
)


class CommandFailed(click.ClickException):
    """One line on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance


def unfulfilled(message: str) -> CommandFailed:
    """What a command waited for did not happen."""
    return CommandFailed(message, UNFULFILLED)


def failed(error: TileworkError) -> CommandFailed:
    """The exit of a command that met an expected failure."""
    if error.code == "NODE_UNREACHABLE":
        code = UNREACHABLE
    else:
        code = LOCAL_FAULT if isinstance(error, LocalFault) else REFUSED
    return CommandFailed(" ".join(str(error).split()), code)


def expected(group: BaseExceptionGroup[BaseException]) -> TileworkError | None:
    """The first expected failure of a group of failures, if the group holds nothing else."""
    faults, others = group.split(TileworkError)
    if faults is None or others is not None:
        return None
    first: BaseException = faults
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, TileworkError)
    return first
