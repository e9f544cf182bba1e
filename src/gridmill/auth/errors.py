"""What can go wrong with keys and links."""

from gridmill.kit.errors import GridmillError, NotFound


class KeyNotFound(NotFound):
    """404: no such key in this workspace."""

    code = "KEY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no such key.")


class UnknownDataset(NotFound):
    """404: no such dataset in this workspace. For the description only: `DatasetFinder` raises it."""

    code = "DATASET_NOT_FOUND"


class LinkInvalid(GridmillError):
    """403: a link that was altered, or not made here."""

    code = "LINK_INVALID"
    status = 403

    def __init__(self) -> None:
        super().__init__("This link is not valid: it was altered or not made by this server.")


class LinkExpired(GridmillError):
    """410: a link that was valid once."""

    code = "LINK_EXPIRED"
    status = 410

    def __init__(self) -> None:
        super().__init__("This link has expired. Ask for a new one.")
