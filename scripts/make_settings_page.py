"""Writes docs/settings.md from the schema.

python scripts/make_settings_page.py
"""

from __future__ import annotations

from pathlib import Path

from bertexp.commands.help import settings_page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
