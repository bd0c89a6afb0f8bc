"""csv: fields between commas, which may be quoted and then hold line breaks (RFC 4180)."""

from bertexp.data.formats.delimited import Delimited

_CSV = Delimited(",", quote='"')
column_names, read_table, read_rows = _CSV.column_names, _CSV.read_table, _CSV.read_rows
