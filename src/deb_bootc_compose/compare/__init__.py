"""What changed between two composes, or two locks: packages with their changelogs, layers, sizes."""
