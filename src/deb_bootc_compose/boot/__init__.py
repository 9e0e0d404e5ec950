"""Booting images: GRUB's menu on the image, QEMU around it, and what the running system says of itself."""
