from pathlib import Path

from kb_assistant.sync.naming import choose_names

A, B = Path("/team/A"), Path("/team/B")


def test_names_are_paths_from_the_folder() -> None:
    files = {A / "leave.md": A, A / "zh" / "病假.txt": A, B / "vpn.md": B}
    assert list(choose_names(files, [A, B], []).values()) == ["leave.md", "zh/病假.txt", "vpn.md"]


def test_new_documents_of_the_same_path_all_get_their_folders_in_front() -> None:
    files = {A / "readme.md": A, B / "readme.md": B, B / "only.md": B}
    assert choose_names(files, [A, B], []) == {
        A / "readme.md": "A/readme.md",
        B / "readme.md": "B/readme.md",
        B / "only.md": "only.md",
    }


def test_a_name_that_is_taken_is_left_to_its_document() -> None:
    assert choose_names({B / "readme.md": B}, [A, B], [("readme.md", "readme.md")]) == {B / "readme.md": "B/readme.md"}


def test_a_namesake_gets_its_folder_in_front_whichever_was_stored_first() -> None:
    """A run that was killed after the first of two ends with the same names as one that was not."""
    assert choose_names({B / "readme.md": B}, [A, B], [("A/readme.md", "readme.md")]) == {
        B / "readme.md": "B/readme.md"
    }


def test_folders_of_the_same_name_are_told_apart_by_those_around_them() -> None:
    first, second = Path("/x/docs"), Path("/y/docs")
    files = {first / "readme.md": first, second / "readme.md": second}
    assert list(choose_names(files, [first, second], []).values()) == ["x/docs/readme.md", "y/docs/readme.md"]


def test_a_prefix_that_another_document_has_already_is_made_longer_or_numbered() -> None:
    taken = [("readme.md", "readme.md"), ("B/readme.md", "B/readme.md")]
    assert choose_names({B / "readme.md": B}, [A, B], taken) == {B / "readme.md": "team/B/readme.md"}
    taken.append(("team/B/readme.md", "team/B/readme.md"))
    assert choose_names({B / "readme.md": B}, [A, B], taken) == {B / "readme.md": "B (2)/readme.md"}


def test_single_files_of_the_same_name_get_their_folders_in_front(tmp_path: Path) -> None:
    files = [tmp_path / name / "readme.md" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text("text")
    assert list(choose_names({file: file for file in files}, files, []).values()) == ["a/readme.md", "b/readme.md"]
