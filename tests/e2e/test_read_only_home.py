"""A home that its user may only read: questions are answered from it, and what would change it says why it cannot."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paths import SAMPLES

from kb_assistant import Assistant

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or (IS_ROOT and sys.platform != "linux"), reason="nothing binds this user to files' modes"
)


def respect_modes() -> None:
    """Give up what lets root write and read whatever the modes of files say; in force from the next program on."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError("cannot drop a capability")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that may only be read."""
    home = tmp_path_factory.mktemp("read-only") / "home"
    with Assistant.open(home) as kb:
        kb.ingest(SAMPLES)
    everything = [home, *home.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home
    for path in everything:
        path.chmod(0o700)


@pytest.fixture
def reader(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `kb` on the home in a process that the modes of files bind."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kb_assistant", *arguments, "--home", str(home)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
            preexec_fn=respect_modes if IS_ROOT else None,
        )

    return run


def test_questions_are_answered(reader: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    answered = reader("ask", "How long is the warranty on rechargeable batteries?", "--json")
    assert (answered.returncode, "kb:" in answered.stderr) == (0, False)
    assert "9 months" in json.loads(answered.stdout)["answer"]
    found = reader("search", "rechargeable batteries", "-k", "3", "--json")
    assert (found.returncode, len(json.loads(found.stdout)["hits"])) == (0, 3)
    listed = reader("sources", "--json")
    assert (listed.returncode, len(json.loads(listed.stdout))) == (0, len(list(SAMPLES.iterdir())))


def test_doctor_finds_it_sound_and_says_what_cannot_be_done(
    reader: Callable[..., subprocess.CompletedProcess[str]], home: Path
) -> None:
    run = reader("doctor")
    assert run.returncode == 0, run.stdout
    assert f"ok    home: {home} can only be read: questions are answered, documents cannot be changed" in run.stdout
    assert "ok    collection default: " in run.stdout


def test_what_would_change_it_says_why_it_cannot(
    reader: Callable[..., subprocess.CompletedProcess[str]], home: Path
) -> None:
    for arguments in (("ingest", str(SAMPLES)), ("remove", "员工手册.md")):
        run = reader(*arguments)
        assert run.returncode == 3
        assert run.stderr == (
            f"kb: cannot write to {home}: this account may only read it; allow it, or set KB_HOME to a folder of your "
            "own\n"
        )


def test_what_another_user_writes_is_found(
    reader: Callable[..., subprocess.CompletedProcess[str]], home: Path, tmp_path: Path
) -> None:
    if not IS_ROOT:
        pytest.skip("the owner of the home, whom these modes bind too, cannot write to it")
    (tmp_path / "zebras.md").write_text("The zebra quota is 42.\n")
    with Assistant.open(home) as kb:  # the write-ahead log stays beside the catalogue as long as this is open
        kb.ingest(tmp_path / "zebras.md", collection="zebras")
        assert "The zebra quota is 42" in reader("search", "zebra quota", "--collection", "zebras").stdout
        kb.remove("zebras.md", collection="zebras")
    assert reader("sources", "--collection", "zebras").stdout == "no documents\n"
