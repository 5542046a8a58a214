"""Results for people: the papers' numbers beside ours, figures, the page, records.

``table`` prints what ``results/scores.json`` holds: ``comparison`` with the papers' numbers, which
``recipes`` finds and ``protocols`` explain, ``standings`` of all methods, ``closest`` definitions,
each a table of ``tables``. For ``curves``, ``page/`` and ``attributes/``, ``methods`` scores image
by image. ``records`` reads what reproduce.py writes, and ``picture`` draws for train.py and
test.py.
"""
