"""A compose, or the difference between two, as one HTML file that needs no script and no network."""
