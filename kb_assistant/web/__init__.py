"""The web page."""

from kb_assistant.privacy import keep_offline

keep_offline()  # before the page's module imports gradio, which imports the hub's client
