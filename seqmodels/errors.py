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


def excerpt(value: object, length: int = 60) -> str:
    """Returns the representation of a value for an error message. A long representation is truncated.

    Args:
        value: the value.
        length: maximum number of characters.

    >>> excerpt("12x"), excerpt("word " * 100, length=12)
    ("'12x'", "'word wor...")
    """
    shown = repr(value)
    return shown if len(shown) <= length else shown[: length - 3] + "..."
