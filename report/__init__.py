"""Results for people: tables, papers' numbers beside ours, pictures of predictions.

``scores`` keeps what eval.py scored; ``files`` puts a report together and writes it, of the sheets
that ``reproduction``, ``standings``, ``closest`` and ``origins`` make of it. ``python -m report``
draws curves and writes a page: ``methods`` scores for it image by image, ``curves`` and
``thumbnails`` draw, ``page`` fills the templates. ``reproduce`` runs a recipe's whole way,
``worklog`` times it, ``records`` keeps what came of it and ``document`` makes a page of records.
"""
