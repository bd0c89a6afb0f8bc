"""tsv as in GLUE: fields between tabs, in which quotes are plain characters and line breaks do not occur."""

from bertexp.data.formats.delimited import Delimited

_TSV = Delimited("\t", quote=False)
column_names, said, read_table, read_rows = _TSV.column_names, _TSV.said, _TSV.read_table, _TSV.read_rows
