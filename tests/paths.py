"""Where the repository, its sample documents and the data of tests are."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "kb_assistant" / "demo" / "samples"
DATA = ROOT / "tests" / "data"
