"""Images that stand on another image: the base is taken as it is, and only what is above it is made."""
