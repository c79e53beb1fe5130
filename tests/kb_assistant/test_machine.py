"""What the machine tells of itself, and a container of its limits."""

import psutil
import pytest

from kb_assistant.errors import ModelError
from kb_assistant.llms.checkpoints.model_files import inspect_model
from kb_assistant.llms.ipex.loading import check_memory
from kb_assistant.machine import Machine


def container(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_without_a_container_it_is_the_whole_machine(tmp_path):
    machine = Machine.read(tmp_path)
    assert 1 <= machine.cores <= psutil.cpu_count()
    assert 0 < machine.free_bytes <= psutil.virtual_memory().total


def test_a_container_limits_cores_and_memory(tmp_path):
    limits = {
        "cpu_max": "100000 100000\n",
        "memory_max": "1000000000\n",
        "memory_current": "600000000\n",
        "memory_stat": "anon 1\ninactive_file 50000000\nactive_file 7\n",
    }
    machine = Machine.read(container(tmp_path, **limits))
    assert machine.cores == 1
    assert machine.free_bytes == 450_000_000


def test_a_container_without_limits_changes_nothing(tmp_path):
    limits = {"cpu_max": "max 100000\n", "memory_max": "max\n", "memory_current": "5\n"}
    assert Machine.read(container(tmp_path, **limits)).cores == Machine.read(tmp_path / "none").cores


@pytest.mark.parametrize(("cores", "tokens"), [(1, 1000), (2, 1000), (4, 2000), (64, 4000)])
def test_more_cores_read_more_passages(cores, tokens):
    assert Machine(cores, frozenset(), 1).context_tokens == tokens


def test_it_is_said_in_a_line():
    machine = Machine(4, frozenset({"avx2", "amx_bf16"}), 8_000_000_000)
    assert str(machine) == "4 cores; 8.0 GB of memory free; instructions: avx2, amx_bf16"
    assert machine.computes_bfloat16
    assert not Machine(4, frozenset({"avx2"}), 1).computes_bfloat16


def test_a_model_that_does_not_fit_is_refused_with_the_figures(small_model, small_model_int4):
    for model, remedy in (
        (small_model, "convert it on a larger"),
        (small_model_int4, "programs, or use a smaller model"),
    ):
        files = inspect_model(model)
        check_memory(files, "sym_int4", Machine(2, frozenset(), 2_000_000_000))
        with pytest.raises(ModelError, match=rf"needs about 1\.5 GB of memory, 0\.9 GB are free; .*{remedy}"):
            check_memory(files, "sym_int4", Machine(2, frozenset(), 900_000_000))
