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
