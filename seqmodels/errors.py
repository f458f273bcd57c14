"""Errors that the user can fix. The message of each error has one line.

If one of these errors is raised, the command line prints its message without a stack trace. The exit status
of the process is the ``exit_status`` of the error. The option ``--debug`` also prints the stack trace. Every
message describes what was received, what is expected and how to fix the error. The message also contains the
file and the line number if they are known.
"""


class UserError(Exception):
    """An error that the user can fix. Its message is one line that describes how to fix it."""

    exit_status = 1


class UsageError(UserError):
    """Invalid usage: an invalid option, or a path that does not exist."""

    exit_status = 2


class DataError(UserError):
    """Invalid data: an invalid row, a damaged file, or missing training, validation or test data."""
