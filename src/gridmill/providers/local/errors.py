"""What can go wrong with the local model. The messages are for operators and say what to do."""


class LocalModelError(Exception):
    """The local model cannot be installed or used. Trying again changes nothing by itself."""


class BadWeights(LocalModelError):
    """A file that is no GGUF, a part of one, or not the file whose hash was asked for."""


class WeightsMissing(LocalModelError):
    """Weights could not be had, or none of that name are installed."""


class NoRoom(LocalModelError):
    """Too little disk space or memory, found out before any of it was used."""


class ServerDown(LocalModelError):
    """The child ended or never answered. It may run the next time; `wait` is in seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait
