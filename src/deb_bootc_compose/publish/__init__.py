"""Put a finished compose where machines update from: an OSTree repository that lasts, a registry."""
