"""`gridmill worker`: finds its database, then works."""

from gridmill.cli.running import CommandFailed
from gridmill.settings import Settings
from gridmill.storage.embedded.server import find_running
from gridmill.worker.parent import follow_parent
from gridmill.worker.process import work


async def run_worker_command(settings: Settings, parent_pid: int | None) -> None:
    """Work until told to stop; with `parent_pid`, also until that process ends.

    Raises:
        CommandFailed: there is no database to work on.
    """
    if parent_pid is not None:
        follow_parent(parent_pid)
    if settings.database_url is not None:
        url: str | None = settings.database_url.get_secret_value()
    else:
        url = await find_running(settings.data_dir)
    if url is None:
        raise CommandFailed(
            f"No server runs in {settings.data_dir}. Start `gridmill serve` there first, or name"
            " a database with --database-url."
        )
    await work(settings, url)
