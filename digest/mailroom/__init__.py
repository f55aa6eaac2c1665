"""What comes back by mail, done with.

    reading.py    reads a mailbox, and offers each message to what may take it: bounces first, then
    answering.py  commands and votes, which are answered
    handled.py    what became of a message

Called by `commands/receiving.py` and `postbox.py`.
"""
