"""What can go wrong with webhooks."""

from gridmill.kit.errors import NotFound, Unprocessable


class WebhookNotFound(NotFound):
    """404: no such webhook in this workspace."""

    code = "WEBHOOK_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no webhook with this id.")


class DeliveryNotFound(NotFound):
    """404: no such delivery of this webhook."""

    code = "DELIVERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no delivery with this id.")


class WebhookUrlInvalid(Unprocessable):
    """422: a URL that no webhook may have; says what is wrong with it."""

    code = "WEBHOOK_URL_INVALID"


class WebhookHeaderInvalid(Unprocessable):
    """422: a custom header that no webhook may have; `details.header` names it."""

    code = "WEBHOOK_HEADER_INVALID"

    def __init__(self, message: str, header: str | None = None) -> None:
        super().__init__(message, details={} if header is None else {"header": header[:100]})
