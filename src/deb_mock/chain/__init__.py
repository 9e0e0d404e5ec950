"""Building several sources in the order of their build dependencies, each on what the others gave."""
