"""People: who they are and what they want, read from what they wrote. The store keeps them; nothing here sends."""
