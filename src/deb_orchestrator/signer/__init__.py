"""The signer: a process of its own that holds the keys and signs what its policy allows, asked by `sign` jobs."""
