"""Two runs in one request: the second draws what the first one counted, as variables live on between them."""

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

PROMPT = (
    "Analyze this text and give me: word count, top 10 most frequent words, "
    "and a chart of sentence length distribution:\n\n"
    "Artificial intelligence is changing the world. Companies are investing in AI. "
    "The future depends on artificial intelligence and technology. "
    "Machine learning is an important part of artificial intelligence."
)


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    return answer(client, response, "text_analysis")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
