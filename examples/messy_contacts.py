"""Cleaning data in which each row does it differently, and one date has a comma of its own."""

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

MESSY_DATA = """
Name,Email,Phone,Date
Ahmed, ahmed@gmail.com , 0501234567, 2024-01-15
sara,SARA@YAHOO.COM, 050-123-4567 , 01/15/2024
MOHAMED, mohamed@hotmail.com,+966501234567,January 15, 2024
"""
PROMPT = (
    "Clean this data: "
    "1. Standardize name format (capitalize first letter) "
    "2. Clean emails (lowercase, no spaces) "
    "3. Standardize phone format (+966XXXXXXXXX) "
    "4. Standardize date format (YYYY-MM-DD)\n\n" + MESSY_DATA
)


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    return answer(client, response, "messy_contacts")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
