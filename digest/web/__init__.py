"""The pages: what a list has brought, a way in, and for its readers a way to choose, to vote and to leave.

    spans.py      a day, a week or a month, as an address has it          pure
    forms.py      what a form says                                        pure
    limits.py     how often one client may ask                            pure
    feed.py       Atom                                                    pure
    site.py       one list: its addresses, templates and cached pages
    public.py     the pages that everybody sees
    joining.py    sign-up and preview
    personal.py   the pages behind a signed link
    charts.py     what there was over time, as pictures and tables        pure
    metrics.py    the lists' state for Prometheus                         pure
    operators.py  /status, /metrics and /healthz
    gate.py       HTTP: headers, clients, the prefix of a proxy, forms; the endpoints' one way in
    serving.py    the application, its server, and the letters it posts

A GET or HEAD changes nothing: programs that scan mail follow every link. A change is a POST, by one button. No page
sets a cookie, and none asks another host for anything. Starlette and uvicorn are an extra, `web`; nothing here is
imported unless pages are served. Rules of who may do what are `digest/membership.py`'s.
"""
