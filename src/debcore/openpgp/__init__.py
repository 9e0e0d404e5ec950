"""OpenPGP for all of us: one `Signer` port with two adapters (sqop, gpg), and verification with gpgv.

Keys are OpenPGP v4 (ed25519), which bookworm's gpgv, apt and OSTree read. OpenPGP itself is the programs' work.
"""

from debcore.openpgp.armor import dearmor, join_certificates
from debcore.openpgp.joint import JointSigner
from debcore.openpgp.keys import find_backend, generate_key, load_signer
from debcore.openpgp.signer import Signer
from debcore.openpgp.verify import Verified, verify_detached, verify_inline

__all__ = [
    "JointSigner",
    "Signer",
    "Verified",
    "dearmor",
    "find_backend",
    "generate_key",
    "join_certificates",
    "load_signer",
    "verify_detached",
    "verify_inline",
]
