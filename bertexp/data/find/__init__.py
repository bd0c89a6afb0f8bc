"""Where the rows of a data set lie: a path, the cache, an address. Standard library only."""
