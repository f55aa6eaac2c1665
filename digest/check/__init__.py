"""`digest check`, the doctor: everything that must be right before an email arrives, one line each.

Decided in pure functions over values and a look-up (`findings.py`, `spf.py`, `records.py`, `mail_dns.py`), looked at by
adapters (`resolver.py`, `speaking.py`, `sources.py`, `local.py`, `links.py`), run together by `doctor.py`. Nothing here
changes anything but `fixing.py`. `cli/checking.py` calls it and prints.
"""
