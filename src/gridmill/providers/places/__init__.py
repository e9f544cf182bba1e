"""Places: boundaries, the sources that know places, and what their records mean.

Owns the reading of boundaries, exact selection of points in them, the embedded source and the
shapes that every source answers in. May import `kit`; knows no database and no task.
"""
