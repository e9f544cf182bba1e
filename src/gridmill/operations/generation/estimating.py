"""What texts would cost, from their real prompts; no model is called."""

from collections.abc import Mapping, Sequence

from gridmill.operations.generation.writing import Commission, Draft, plan_questions
from gridmill.operations.model import Estimate
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import ModelRef, add_costs

_REPLY_TOKENS = 10
_CELL_TOKENS = 60
"""Tokens of one written cell as expected; replies have `_REPLY_TOKENS` more."""


async def estimate_texts(
    gateway: Gateway | None,
    commission: Commission,
    refs: Mapping[int, ModelRef],
    drafts: Sequence[Draft],
) -> Estimate:
    """Requests, tokens and cost of writing what the drafts wait for; stored answers cost nothing.

    A column that reads another one is measured with what the row holds there now.
    """
    total = Estimate(0, 0, 0, 0.0)
    for ref in dict.fromkeys(refs.values()) if gateway is not None else ():
        columns = [column for column in commission.columns if refs.get(column.number) == ref]
        questions = plan_questions(commission, columns, drafts)
        requests = [question.to_request() for question in questions]
        stored = [False] * len(requests)
        if gateway is not None and not commission.refresh:
            stored = await gateway.find_stored(
                requests, ref=ref, workspace_id=commission.workspace_id
            )
        paid = [number for number, is_stored in enumerate(stored) if not is_stored]
        cells = sum(len(questions[number].prepared.columns) for number in paid)
        prompt = sum(requests[number].tokens for number in paid)
        answer = _REPLY_TOKENS * len(paid) + _CELL_TOKENS * cells
        price = None if gateway is None else gateway.price_of(ref)
        total = Estimate(
            total.requests + len(paid),
            total.prompt_tokens + prompt,
            total.completion_tokens + answer,
            add_costs(total.cost_usd, None if price is None else price.cost(prompt, answer)),
        )
    return total
