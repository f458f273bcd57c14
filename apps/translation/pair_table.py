"""Stores pairs of texts, and reads them from tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from apps.translation.pair_names import SIDES, is_language
from seqmodels.data.columns import listed, not_texts, note_columns, without_header
from seqmodels.data.tables import BadRows, Table, find_column, has_column, read_table
from seqmodels.errors import DataError, UsageError

# The two sides of a pair. A .txt file has no header, so its two columns get these names.
COLUMNS = ("source", "target")


@dataclass(frozen=True)
class Reading:
    """Options that control how a file is read.

    Attributes:
        source_column, target_column: names of the columns of a table. Default: the columns are found by their
            names, such as ``en`` or ``source``.
        encoding: encoding of text formats. Default: UTF-8.
        on_bad_rows: ``error`` or ``skip``.
        stored: names of the attributes whose values come from the training run. A column name from the
            training run is used only if the table has this column. An encoding from the training run is used
            only for a file that is not UTF-8. If ``stored`` contains ``languages``, the source and target
            language come from the training run, too.
    """

    source_column: str | None = None
    target_column: str | None = None
    encoding: str | None = None
    on_bad_rows: str = "error"
    stored: frozenset[str] = frozenset()

    @property
    def prefer_utf8(self) -> bool:
        return "encoding" in self.stored


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts: ``targets[row]`` is the translation of ``sources[row]``.

    ``files`` contains the source file and the target file, or one file with both texts. ``lines[row]`` is the
    line number of the pair. With two files, it is the line number in both files. Line numbers
    start at 1.
    """

    sources: list[str]
    targets: list[str]
    files: tuple[str, ...]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.sources)

    def where(self, row: int) -> str:
        """Returns the location of ``row`` for an error message: ``train.en:12 and train.de:12``."""
        return " and ".join(f"{file}:{self.lines[row]}" for file in self.files)

    def take(self, rows: Sequence[int]) -> Pairs:
        """Returns the given rows in the given order."""
        sources, targets = [self.sources[row] for row in rows], [self.targets[row] for row in rows]
        return Pairs(sources, targets, self.files, [self.lines[row] for row in rows])


def collect(
    files: tuple[str, ...],
    rows: Iterable[tuple[int, str, str]],
    bad: BadRows,
    reading: Reading,
    notes: list[str],
) -> Pairs:
    """Returns the pairs in ``rows``, without empty texts.

    If both texts of a pair are empty, the pair is skipped. A note counts the skipped pairs. If only one text
    of a pair is empty, the pair is a bad row.

    Args:
        files: the files of the pairs.
        rows: one tuple (line number, source text, target text) per pair.
        bad: the bad rows that the caller has found in the file. This function adds further bad rows.
        reading: options that control how the file is read.
        notes: list to which notes about skipped rows are appended.

    Raises:
        DataError: there are bad rows and ``on_bad_rows`` is ``error``, or there are no pairs.
    """
    pairs = Pairs([], [], files, [])
    count, empty = bad.count, 0
    for line, source, target in rows:
        sides = (source.strip(), target.strip())
        if not any(sides):
            empty += 1
            continue
        count += 1
        if not all(sides):
            index = sides.index("")
            place = f"{files[index if len(files) > 1 else 0]}:{line}"
            bad.add(
                line, place, f"the {COLUMNS[index]} is empty; fill it in or remove both texts of the pair"
            )
            continue
        pairs.sources.append(source)
        pairs.targets.append(target)
        pairs.lines.append(line)
    names = " and ".join(files)
    if empty:
        pair = "1 pair" if empty == 1 else f"{empty} pairs"
        notes.append(f"{pair} of {names} {'is' if empty == 1 else 'are'} empty on both sides and skipped")
    bad.settle(reading.on_bad_rows, count, notes)
    if not len(pairs):
        raise DataError(f"no pairs found in {names}; expected a text and its translation in each line")
    return pairs


@dataclass
class TableReader:
    """Reads all tables of ``--data``. The first table determines the languages of all tables.

    Attributes:
        source, target: languages or columns that the user chose, or empty strings.
        reading: options that control how the tables are read.
        notes: list to which notes are appended.
        languages: source language and target language. None until the first table is read.
    """

    source: str
    target: str
    reading: Reading
    notes: list[str]
    languages: tuple[str, str] | None = field(default=None, init=False)

    def read(self, path: Path) -> Pairs:
        """Returns the pairs of a table.

        Raises:
            UsageError: a chosen column or language does not exist.
            DataError: the table cannot be read, has bad rows, or its source and target columns are not clear.
        """
        bad = BadRows(path)
        table = read_table(
            path, encoding=self.reading.encoding, bad=bad, prefer_utf8=self.reading.prefer_utf8
        )
        self.notes += table.notes
        table = with_nested_columns(table, self.notes)
        columns = self._columns(table)
        note_columns(table, dict(zip(COLUMNS, columns)), self.notes)
        rows = zip(table.lines.tolist(), table.texts(columns[0]), table.texts(columns[1]))
        return collect((str(path),), rows, bad, self.reading, self.notes)

    def _columns(self, table: Table) -> tuple[str, str]:
        """Returns the source column and the target column. Sets ``languages`` if it is not set yet."""
        chosen = [self._chosen(table, role) for role in COLUMNS]
        named = [self.source, self.target]
        if not all(chosen):
            guessed = self._guess(table, chosen[0], chosen[1])
            if not any(chosen):
                self.notes.append(
                    f"the model translates from {guessed[0]} to {guessed[1]}; use --source and --target to "
                    "change this"
                )
            chosen = list(guessed)
        if chosen[0] == chosen[1]:
            raise UsageError(
                f"the column {chosen[0]!r} of {table.path} cannot be both source and target; choose two "
                "different columns with --source-column and --target-column"
            )
        if self.languages is None:
            self.languages = (named[0] or str(chosen[0]), named[1] or str(chosen[1]))
        return str(chosen[0]), str(chosen[1])

    def _chosen(self, table: Table, role: str) -> str | None:
        """Returns the source column or the target column. ``role`` is ``source`` or ``target``.

        The user chooses the column with ``--source-column`` or ``--target-column``. Without this option, it
        is the column with the name of the source or target language. Returns None if the column must be
        guessed.
        """
        index, name = COLUMNS.index(role), f"{role}_column"
        column = getattr(self.reading, name)
        if column is not None and (name not in self.reading.stored or has_column(table, column)):
            return find_column(table, column, (), f"--{role}-column")
        language = self.languages[index] if self.languages else (self.source, self.target)[index]
        if not language:
            return None
        if has_column(table, language):
            return find_column(table, language, (), f"--{role}")
        if "languages" in self.reading.stored or self.languages:
            return None
        raise UsageError(
            f"--{role} {language} is not a column of {table.path}; found {listed(table)}; choose the column "
            f"with --{role}-column"
        )

    def _guess(self, table: Table, source: str | None, target: str | None) -> tuple[str, str]:
        """Returns the source column and the target column.

        The caller passes the columns that are known. A column that is not passed is guessed from the
        column names.

        Raises:
            UsageError: more than two columns have names of languages.
            DataError: fewer than two columns have names of languages or sides, such as ``en`` or ``source``.
        """
        for pair in SIDES:
            if all(has_column(table, name) for name in pair):
                sides = [
                    find_column(table, name, (), f"--{role}-column") for name, role in zip(pair, COLUMNS)
                ]
                if source in (None, sides[0]) and target in (None, sides[1]):
                    return sides[0], sides[1]
                if (
                    source in (None, sides[1])
                    and target in (None, sides[0])
                    and "languages" not in self.reading.stored
                ):
                    return sides[1], sides[0]
        texts = [name for name in table.columns if not not_texts(table, name)]
        left = [name for name in texts if name not in (source, target) and is_language(name)]
        if not left and (source is None) != (target is None):
            left = [name for name in texts if name not in (source, target)]
        lacking = (source is None) + (target is None)
        from_run = "languages" in self.reading.stored or self.languages is not None
        if len(left) != lacking or from_run:
            options = "--source-column and --target-column"
            if hint := without_header(table):
                raise DataError(
                    f"{table.path}:{table.header_line}: the column names are missing{hint}, such as en and "
                    "de; if a tab separates the two texts in each line, rename the file to .txt instead"
                )
            if len(left) > lacking and not from_run:
                raise UsageError(
                    f"{table.path} has the language columns {', '.join(left)}; choose two with --source and "
                    "--target"
                )
            raise DataError(
                f"two columns of {table.path} must have names of languages, such as en and de; found "
                f"{listed(table)}; rename the columns, or choose the columns with {options}"
            )
        return source or left.pop(0), target or left.pop(0)


def with_nested_columns(table: Table, notes: list[str]) -> Table:
    """Splits a column of records such as ``{"en": "a cat", "fr": "un chat"}`` into a column per key."""
    frame = table.frame
    for column in table.columns:
        values = frame[column].tolist()
        if not values or not all(isinstance(value, dict) for value in values):
            continue
        keys = list(dict.fromkeys(key for value in values for key in value))
        added = {key: [value.get(key) for value in values] for key in keys if key not in frame.columns}
        frame = frame.drop(columns=column).assign(**added)
        notes.append(
            f"the column {column!r} of {table.path} is split into the columns {', '.join(map(repr, added))}"
        )
    return replace(table, frame=frame)
