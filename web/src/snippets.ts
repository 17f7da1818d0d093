/** Programs that repeat what was done, in the words of the official SDKs and of curl. */
import type { Fields } from './api'
import type { Repeatable } from './state'

export type Language = 'python' | 'javascript' | 'curl'

/** Stands in the body for the id of an upload that the snippet makes anew. */
const FILE = (at: number): string => `FILE_${at + 1}`

/** The place of such an id. */
class Place {
  constructor(readonly name: string) {}
}

/** The value with the ids of uploads in it as places to be filled. */
function withPlaces(value: unknown, places: Map<string, string>): unknown {
  if (Array.isArray(value)) return value.map((one) => withPlaces(one, places))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const place = name === 'file_id' && typeof inner === 'string' ? places.get(inner) : undefined
      return [name, place === undefined ? withPlaces(inner, places) : new Place(place)]
    }),
  )
}

interface Dialect {
  text: (value: string) => string
  nothing: string
  yes: string
  no: string
  place: (name: string) => string
  name: (name: string) => string
}

const PYTHON: Dialect = { text: pythonText, nothing: 'None', yes: 'True', no: 'False', place: (name) => `${name.toLowerCase()}.id`, name: pythonText }
const JAVASCRIPT: Dialect = {
  text: (value) => JSON.stringify(value),
  nothing: 'null',
  yes: 'true',
  no: 'false',
  place: (name) => `${name.toLowerCase().replace('_', '')}.id`,
  name: (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)),
}
const JSON_TEXT: Dialect = { ...JAVASCRIPT, place: (name) => `"${name}"`, name: (name) => JSON.stringify(name) }

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f]/

/** JSON's strings are Python's, but for half characters, which both write alike. */
function pythonText(value: string): string {
  const quoted = JSON.stringify(value).replace(/\u007f/g, '\\u007f')
  if (!value.includes('\n') || value.includes('\\') || value.includes('"""') || value.endsWith('"') || !value.isWellFormed() || CONTROL.test(value)) return quoted
  return `"""\\\n${value}"""`
}

function written(value: unknown, dialect: Dialect, indent: string): string {
  if (value === null || value === undefined) return dialect.nothing
  if (typeof value === 'boolean') return value ? dialect.yes : dialect.no
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return dialect.text(value)
  if (value instanceof Place) return dialect.place(value.name)
  const inner = `${indent}    `
  if (Array.isArray(value)) {
    if (!value.length) return '[]'
    return `[\n${value.map((one) => `${inner}${written(one, dialect, inner)},\n`).join('')}${indent}]`
  }
  const entries = Object.entries(value as Fields)
  if (!entries.length) return '{}'
  const flat = entries.map(([name, one]) => `${dialect.name(name)}: ${written(one, dialect, inner)}`)
  const line = `{${flat.join(', ')}}`
  if (line.length < 72 && !line.includes('\n')) return line
  return `{\n${flat.map((one) => `${inner}${one},\n`).join('')}${indent}}`
}

/** JSON proper: without commas at the ends. */
function jsonText(value: unknown): string {
  return written(value, JSON_TEXT, '').replace(/,(\n\s*[\]}])/g, '$1')
}

export function snippet(language: Language, done: Repeatable, base: string, hasKey: boolean): string {
  const places = new Map(done.files.map((file, at) => [file.id, FILE(at)]))
  const body = { ...(withPlaces(done.body, places) as Fields) }
  delete body['stream']
  const headers = Object.fromEntries(Object.entries(done.headers).filter(([name]) => !['belljar-output', 'anthropic-version'].includes(name)))
  const parts = { body, headers, done, base, hasKey }
  return language === 'python' ? python(parts) : language === 'javascript' ? javascript(parts) : curl(parts)
}

interface Parts {
  body: Fields
  headers: Record<string, string>
  done: Repeatable
  base: string
  hasKey: boolean
}

function python({ body, headers, done, base, hasKey }: Parts): string {
  const lines = hasKey ? ['import os', ''] : []
  if (done.path === '/v1/executions') lines.push('import json')
  if (done.files.length) lines.push('from pathlib import Path')
  if (lines.length && lines.at(-1) !== '') lines.push('')
  lines.push('import anthropic', '')
  lines.push(`client = anthropic.Anthropic(base_url=${pythonText(base)}, api_key=${hasKey ? 'os.environ["BELLJAR_API_KEY"]' : '"belljar"'})`)
  done.files.forEach((file, at) => lines.push(`${FILE(at).toLowerCase()} = client.beta.files.upload(file=Path(${pythonText(file.filename)}))`))
  if (done.path === '/v1/executions') {
    lines.push('execution = client.post(', '    "/v1/executions",', `    body=${written(body, PYTHON, '    ')},`, '    cast_to=object,', ')')
    lines.push('print(execution["stdout"], end="")', 'for output in execution["outputs"]:', '    if output["type"] in ("execute_result", "error"):', '        print(json.dumps(output, indent=2)[:2000])', '')
    return tidy(lines)
  }
  const { container, ...rest } = body
  const more: string[] = []
  if (container !== undefined) more.push(`    extra_body={"container": ${pythonText(String(container))}},`)
  if (Object.keys(headers).length) more.push(`    extra_headers=${written(headers, PYTHON, '    ')},`)
  const fields = Object.entries(rest).map(([name, value]) => `    ${name}=${written(value, PYTHON, '    ')},`)
  lines.push('message = client.messages.create(', ...fields, ...more, ')')
  lines.push('for block in message.content:', '    print(block.to_json(indent=2))', '')
  return tidy(lines)
}

/** Imports of the standard library together, in order. */
function tidy(lines: string[]): string {
  const imports = lines.filter((line) => /^(import (os|json)|from pathlib)/.test(line)).sort((a, b) => Number(a.startsWith('from')) - Number(b.startsWith('from')) || (a < b ? -1 : 1))
  const rest = lines.slice(lines.indexOf('import anthropic'))
  return [...imports, ...(imports.length ? [''] : []), ...rest].join('\n')
}

function javascript({ body, headers, done, base, hasKey }: Parts): string {
  const lines = done.files.length ? ['import fs from "node:fs"'] : []
  lines.push('import Anthropic from "@anthropic-ai/sdk"', '')
  lines.push('const client = new Anthropic({', `    baseURL: ${JSON.stringify(base)},`, `    apiKey: ${hasKey ? 'process.env.BELLJAR_API_KEY' : '"belljar"'},`, '})')
  done.files.forEach((file, at) =>
    lines.push(`const ${FILE(at).toLowerCase().replace('_', '')} = await client.beta.files.upload({ file: fs.createReadStream(${JSON.stringify(file.filename)}) })`),
  )
  if (done.path === '/v1/executions') {
    lines.push(`const execution = await client.post("/v1/executions", { body: ${written(body, JAVASCRIPT, '')} })`)
    lines.push('console.log(execution.stdout, execution.outputs)', '')
    return lines.join('\n')
  }
  const second = Object.keys(headers).length ? `, { headers: ${written(headers, JAVASCRIPT, '')} }` : ''
  lines.push(`const message = await client.messages.create(${written(body, JAVASCRIPT, '')}${second})`)
  lines.push('console.log(JSON.stringify(message.content, null, 2))', '')
  return lines.join('\n')
}

/** A word that a shell takes as it is. */
function shellWord(word: string): string {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`
}

function curl({ body, headers, done, base, hasKey }: Parts): string {
  const key = hasKey ? ' -H "x-api-key: $BELLJAR_API_KEY"' : ''
  const lines: string[] = []
  done.files.forEach((file, at) =>
    lines.push(`${FILE(at).toLowerCase()}=$(curl -sS${key} -F file=@${shellWord(file.filename)} ${base}/v1/files | sed 's/.*"id": *"\\([^"]*\\)".*/\\1/')`),
  )
  const own = Object.entries(headers).map(([name, value]) => ` -H ${shellWord(`${name}: ${value}`)}`)
  const request = `curl -sS${key} -H 'content-type: application/json'${own.join('')} --data-binary @- ${base}${done.path}`
  const text = jsonText(body)
  let end = 'JSON'
  while (text.split('\n').includes(end)) end += '_'
  if (done.files.length) {
    const edits = done.files.map((_, at) => `-e "s/\\"${FILE(at)}\\"/\\"$${FILE(at).toLowerCase()}\\"/"`).join(' ')
    lines.push(`sed ${edits} <<'${end}' | ${request}`)
  } else lines.push(`${request} <<'${end}'`)
  lines.push(text, end, '')
  return lines.join('\n')
}
