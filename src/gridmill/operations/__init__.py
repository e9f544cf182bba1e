"""The kinds of work a task can do to cells. Operations compute: they never see the database or the queue."""
