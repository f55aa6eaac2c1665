"""From the queue to the inboxes: `outbox.py` first, with the state table; then replies, SMTP, Maildir and pacing."""
