"""One edition as email: papers and picks in, messages in wire form out.

`EditionRenderer` prepares what an edition's messages share and joins each subscriber's from it; `message_id` names a
message before it is made. Pure: values in, values out; only templates are read from disk. Called by
`digest/making.py`; `digest/edition.py` names messages. Nothing here sends, stores or ranks.
"""

from digest.render.edition import EditionRenderer, Rendered
from digest.render.message import message_id

__all__ = ["EditionRenderer", "Rendered", "message_id"]
