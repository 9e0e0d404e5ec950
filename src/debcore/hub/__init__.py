"""The hub's wire models (`model`) and typed clients (`client`)."""
