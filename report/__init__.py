"""Results for people: tables, papers' numbers beside ours, pictures of predictions.

``scores`` keeps what eval.py scored; ``files`` puts a report together and writes it, of the sheets
that ``reproduction``, ``standings``, ``closest`` and ``origins`` make of it.
"""
