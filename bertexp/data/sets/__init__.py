"""The data sets that bertexp knows by name."""
