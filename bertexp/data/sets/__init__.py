"""The data sets that bertexp knows by name: a module or folder each; `spec.py` lists them."""
