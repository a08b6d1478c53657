"""What is wrong with the rows of a block, cell by cell; one reject says all that is wrong with a row."""

from collections import defaultdict
from collections.abc import Mapping

from graphql_api.imports.layout import Field
from graphql_api.imports.parsed_column import ColumnParser, ParsedColumn
from graphql_api.imports.reader import TextRows
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.source import RawBlock
from graphql_api.imports.values import ValueProblem

# By row of the block's frame, then by the field to blame.
Problems = dict[int, dict[Field, ValueProblem]]


class RowChecker:
    """Reads the cells of the blocks of one file, one block after another."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._header = reader.columns
        self._parser = ColumnParser(reader.columns.layout.rules)

    def read(self, text: TextRows) -> tuple[dict[Field, ParsedColumn], Problems]:
        """The columns of a block, and the cells that cannot be read."""
        columns = self._parser.parse(text.frame)
        problems: Problems = defaultdict(dict)
        for field, column in columns.items():
            for row in column.bad_rows().tolist():
                problems[row][field] = column.problems[int(column.codes[row])]
        return columns, problems

    def refuse_all(self, block: RawBlock, text: TextRows, problems: Problems) -> list[Reject]:
        """A reject for each row with problems."""
        return [self.refuse(block, int(text.records[row]), found) for row, found in problems.items()]

    def refuse(self, block: RawBlock, index: int, problems: Mapping[Field, ValueProblem]) -> Reject:
        """One reject for all that is wrong with a record, at the first bad column of the file."""
        fields = [field.strip() for field in self._reader.fields(block, index)]
        if fields == [*self._header.header]:
            return self._reader.reject(block, index, RejectCode.REPEATED_HEADER, "Delete this line.")
        first, *others = sorted(problems, key=lambda field: self._header.positions[field])
        hint = problems[first].hint
        if not any(fields):
            hint = "The record is empty: delete this line."
        elif others:
            hint += f" Also check {', '.join(self._header.name_of(field) for field in others)}."
        position = self._header.positions[first]
        return self._reader.reject(block, index, problems[first].code, hint, position=position)
