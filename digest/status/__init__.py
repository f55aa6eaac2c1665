"""How lists stand, and who is told when one stands badly. Decided from what the store counted, the config and the time.

    lists.py     a list: what waits and why, what is overdue, its sources and days; crew.py: its workers
    troubles.py  which of it is trouble, and what its operator is told
    watchman.py  asks the store, and writes that letter

Only `watchman.py` opens anything; nothing here prints.
"""
