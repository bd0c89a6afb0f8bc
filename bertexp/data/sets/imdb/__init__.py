"""Large Movie Review Dataset (Maas et al. 2011): 50,000 film reviews."""
