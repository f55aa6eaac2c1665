"""What the commands do that take more than a few lines. Called by `cli/`, which knows their options.

    editions    sending.py, preview.py, batch.py (`rank` of any documents), replaying.py and tally.py;
                proofing.py: what `rank`, `preview` and rehearsals have in common
    deliveries  deliveries.py (also `retry` and `resolve`), pausing.py and restoring.py (`pause`, `resume`)
    people      people.py (`subscribers`), receiving.py (`mailbox`, `suppressions`)
    keeping     backups.py (`backup`, `restore`), pruning.py
    beginning   starter.py (`init`)

Each shows what it does through `console/` and returns the exit code.
"""
