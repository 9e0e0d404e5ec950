"""OCI image layouts: written deterministically, planned by source package, read back as bootc would import them.

Entry points: `oci.image.write_layout` (tree in, layout directory out), `oci.replay.replay_import` (layout in, OSTree
commit made as bootc's importer does it, compared with another commit). `oci.plan` decides what goes into which layer.
"""
