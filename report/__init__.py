"""Results for people: the papers' numbers beside ours, figures, the page, records.

``table`` prints what ``results/scores.json`` holds: ``comparison`` with the papers' numbers, which
``recipes`` finds and ``protocols`` explain, ``standings`` of all methods, ``closest`` definitions,
each a table of ``tables``; ``paper`` makes the one table of a paper. For ``curves``, ``page/`` and
``attributes/``, ``methods`` scores image by image; so it does for ``figure``, where that chooses by
scores. ``records`` reads what reproduce.py writes, and ``picture`` draws for train.py and test.py.
"""
