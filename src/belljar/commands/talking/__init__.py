"""What `belljar chat` is made of: the conversation, what is shown of an answer, and what is typed."""
