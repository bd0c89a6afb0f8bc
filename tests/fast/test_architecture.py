"""The picture of the rooms is the one that the imports give, and no arrow goes upwards."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from make_architecture import PICTURE, arrows, boxes, draw


def test_the_picture_is_drawn_from_the_imports_of_today():
    assert PICTURE.read_text(encoding="utf-8") == draw(), "run: python scripts/make_architecture.py"


def test_rooms_import_those_below_them():
    height = {room: box.y for room, box in boxes().items()}
    assert [(one, other) for one, other in arrows() if height[one] > height[other]] == []
    assert ("runs", "training") in arrows()
