"""A sixth task, as someone else would bring it: ordinal regression, in a folder of its own outside of the package."""
