"""What a user did wrong, said in one line.

The command line prints the message of these errors without a stack trace (``--debug`` shows it)
and exits with their ``exit_status``. Every message says what was received, what was expected
and how to fix it, with file and line where there is one.
"""


class UserError(Exception):
    """The user can mend this; the message is one line that says how."""

    exit_status = 1


class UsageError(UserError):
    """What was asked for cannot be meant: a bad option, a path that does not exist."""

    exit_status = 2


class DataError(UserError):
    """What was read is not what it must be: a bad row, a broken file, a missing split."""
