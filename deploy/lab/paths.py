"""Where the lab keeps its things."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "deploy" / "ansible"
INVENTORIES = ANSIBLE / "inventories"
BIN = ROOT / ".venv" / "bin"
LAB_DIR = ROOT / ".lab"
IMAGES = LAB_DIR / "images"

# Names of containers and networks are global on a host: the digest keeps clones apart.
CLONE = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
