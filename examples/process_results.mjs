// One answer, sorted: what was said, what was run, what it printed and drew, and what went wrong.
//
//     npm install && node process_results.mjs

import Anthropic from "@anthropic-ai/sdk";

// Without a base URL, the requests go to a `belljar serve` on this machine.
process.env.ANTHROPIC_BASE_URL ??= "http://127.0.0.1:8421";
process.env.ANTHROPIC_API_KEY ??= "belljar";

const client = new Anthropic();

const response = await client.messages.create({
  model: process.env.ANTHROPIC_MODEL ?? "claude-sonnet-5-5",
  max_tokens: 4096,
  tools: [{ type: "code_execution_20250522", name: "code_execution" }],
  messages: [
    {
      role: "user",
      content:
        "Analyze this text and give me: word count, top 10 most frequent words, " +
        "and a chart of sentence length distribution:\n\n" +
        "Artificial intelligence is changing the world. Companies are investing in AI. " +
        "The future depends on artificial intelligence and technology. " +
        "Machine learning is an important part of artificial intelligence.",
    },
  ],
});

function processCodeExecutionResponse(response) {
  const results = {
    text: [],
    images: [],
    code: [],
    errors: [],
  };

  for (const block of response.content) {
    switch (block.type) {
      case "text":
        results.text.push(block.text);
        break;
      case "server_tool_use":
        if (block.name === "code_execution") {
          results.code.push(block.input.code);
        }
        break;
      case "code_execution_result":
        if (block.output.type === "text") {
          results.text.push(block.output.text);
        } else if (block.output.type === "image") {
          results.images.push({
            format: block.output.media_type,
            data: block.output.data,
          });
        }
        // Check for errors
        if (block.is_error) {
          results.errors.push(block.output.text);
        }
        break;
    }
  }

  return results;
}

const processed = processCodeExecutionResponse(response);
console.log("Text outputs:", processed.text);
console.log("Number of images:", processed.images.length);
console.log("Errors:", processed.errors);
