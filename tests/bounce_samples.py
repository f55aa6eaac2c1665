"""Messages that came back, written by hand in the wire forms of many mail systems: `data/bounces`.

`TAG` and `TOKEN` stand in the files for what a list signs into a delivery.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "bounces"
NAMES = sorted(path.stem for path in FOLDER.glob("*.eml"))
TAG = "7" + "0123456789abcdef" * 2
TOKEN = "7." + "A" * 24
MESSAGE_ID = "<c0ffee0123456789@lists.example.org>"


def sample(name: str, tag: str = TAG, token: str = TOKEN, message_id: str = MESSAGE_ID) -> bytes:
    """The message as it comes over the wire."""
    text = (FOLDER / f"{name}.eml").read_text(encoding="utf-8")
    text = text.replace("TAG", tag).replace("TOKEN", token).replace(MESSAGE_ID, message_id)
    return text.replace("\n", "\r\n").encode()
