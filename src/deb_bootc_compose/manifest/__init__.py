"""The manifest: YAML read strictly, includes and variants merged, every value knowing where it came from."""

from deb_bootc_compose.manifest.load import Manifest, load_manifest
from deb_bootc_compose.manifest.model import AddFile, Build, Compose, Tree, Variant, VariantSpec

__all__ = ["AddFile", "Build", "Compose", "Manifest", "Tree", "Variant", "VariantSpec", "load_manifest"]
