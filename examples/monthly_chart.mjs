// A chart: the figure that the code draws comes back as base64, in a block of its own.
//
//     npm install && node monthly_chart.mjs

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

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
        "Create a chart showing the company's monthly sales: " +
        "January: 50000, February: 62000, March: 45000, " +
        "April: 71000, May: 58000, June: 89000",
    },
  ],
});

const directory = process.env.DEMO_OUTPUT ?? "demo-output";
let charts = 0;

for (const block of response.content) {
  if (block.type === "text") {
    console.log(block.text);
  }
  if (block.type === "code_execution_result" && block.output.type === "image") {
    console.log("Chart image:", block.output.data.slice(0, 50) + "...");
    charts += 1;
    const path = join(directory, `monthly_chart_js${charts > 1 ? `-${charts}` : ""}.png`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(path, Buffer.from(block.output.data, "base64"));
    console.log(`[Chart saved: ${path}]`);
  }
}

if (charts === 0) {
  console.error("The answer holds no chart.");
  process.exitCode = 1;
}
