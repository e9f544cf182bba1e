"""What a worker process keeps: training tables and fitted learners, the last used ones.

`answer` is the one function that the pool calls. A process that does not hold a task's table says
so, is given it with the next call, and keeps it.
"""

from collections import OrderedDict

from gridmill.operations.enrichment.learners.exchange import (
    Answer,
    Learner,
    Question,
    Table,
    Target,
)

_MAX_TABLES = 4
_MAX_LEARNERS = 64

_tables: OrderedDict[str, Table] = OrderedDict()
_learners: OrderedDict[tuple[str, Target], Learner | str] = OrderedDict()


def answer(question: Question, table: Table | None) -> Answer:
    """Predict the target of the rows, after learning it when this is the first call for it.

    Without rows it is only learnt.
    """
    key = (question.key, question.target)
    learner = _learners.get(key)
    if learner is None:
        table = _keep_table(question.key, table)
        if table is None:
            return Answer(needs_table=True)
        # Imported here: only the child processes that learn carry numpy and scikit-learn.
        from gridmill.operations.enrichment.learners.fitting import fit

        learner = fit(table, question.target, question.seed)
        _learners[key] = learner
        if len(_learners) > _MAX_LEARNERS:
            _learners.popitem(last=False)
    _learners.move_to_end(key)
    if isinstance(learner, str):
        return Answer(reason=learner)
    if not question.rows:
        return Answer()
    return Answer(tuple(learner.predict(question.row_ids, question.rows)))


def _keep_table(key: str, table: Table | None) -> Table | None:
    if table is None:
        table = _tables.get(key)
    else:
        _tables[key] = table
        if len(_tables) > _MAX_TABLES:
            _tables.popitem(last=False)
    if table is not None:
        _tables.move_to_end(key)
    return table
