"""Disk images from an OSTree commit: offline, without loop devices, without root, bit for bit repeatable."""
