"""`python -m kb_assistant` is `kb`."""

from kb_assistant.entry import main

if __name__ == "__main__":
    main()
