import kb_assistant


def test_every_public_name_can_be_imported() -> None:
    for name in kb_assistant.__all__:
        assert getattr(kb_assistant, name).__name__ == name


def test_the_lazy_names_are_the_public_names() -> None:
    assert set(kb_assistant._HOMES) == set(kb_assistant.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(kb_assistant, "Assistent")
