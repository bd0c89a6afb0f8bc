"""csv: fields between commas, which may be quoted and then hold line breaks (RFC 4180); or between semicolons, bars, tabs."""

from bertexp.data.formats.delimited import Delimited

_CSV = Delimited(",", quote='"', others=";|\t")
column_names, said, read_table, read_rows = _CSV.column_names, _CSV.said, _CSV.read_table, _CSV.read_rows
