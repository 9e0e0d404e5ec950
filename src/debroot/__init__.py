"""Roots: isolation, the layer store, resolving and bootstrapping. Imports debcore's values only."""
