"""What ends a whole task, beyond what providers raise themselves."""

from gridmill.providers.llm.errors import ProviderRefused


class PriceUnknown(ProviderRefused):
    """A limit in dollars was set for a model whose price nobody has said: it could not be kept."""

    code = "PRICE_UNKNOWN"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The model {model} has no known price, so maxCostUsd cannot be kept. Set its price in "
            "GRIDMILL_LLM_PRICES, limit maxTokens instead, or leave the budget out."
        )


class TooMuchToLearn(ProviderRefused):
    """The rows that made-up ones should follow take more time or memory than one task may have."""

    code = "TOO_MUCH_TO_LEARN"

    def __init__(self) -> None:
        super().__init__(
            "To learn what the rows are like takes more time or memory than one task may have. "
            "Remove columns that need not be made up."
        )
