"""Mock's command line at deb-mock: its verbs with dashes and its options, in our words where they mean the same."""
