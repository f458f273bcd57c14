"""Errors that the user can fix, with a message of one line.

The command line prints the message of these errors without a stack trace and exits with their
``exit_status``. The option ``--debug`` shows the stack trace. Every message describes what was received,
what is expected and how to fix the error. It includes the file and the line if they are known.
"""


class UserError(Exception):
    """An error that the user can fix; the message is one line that describes how."""

    exit_status = 1


class UsageError(UserError):
    """Invalid usage: a bad option, or a path that does not exist."""

    exit_status = 2


class DataError(UserError):
    """Invalid data: a bad row, a broken file, or a missing split."""
