"""Gates that an update must pass: in QEMU, from a repository over HTTP, with reboots; what is seen is judged here."""
