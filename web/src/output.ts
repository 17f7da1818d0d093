/** What a run prints and shows, folded as it comes. */
import type { Fields } from './api'

export type Shown = { kind: 'stream'; name: 'stdout' | 'stderr'; pieces: string[]; length: number } | { kind: 'data'; type: string; data: Record<string, string>; displayId: string | null } | { kind: 'error'; error: Fields }

export class Outputs {
  items: Shown[] = []
  /** All that was written there, also what was taken back since, with the tracebacks. */
  stderr = ''
  /** The same of both streams. */
  written = ''
  /** What is shown goes when something else comes. */
  private clears = false

  add(event: Fields): void {
    const type = event['type']
    const traceback = type === 'error' ? ((event['traceback'] ?? []) as string[]).map((line) => `${line}\n`).join('') : ''
    if (traceback || (type === 'stream' && event['name'] === 'stderr')) this.stderr += traceback || event['text']
    if (traceback || type === 'stream') this.written += traceback || event['text']
    if (type === 'clear_output') {
      if (event['wait']) this.clears = true
      else this.clear()
      return
    }
    if (type === 'update_display_data') {
      for (const item of this.items) {
        if (item.kind === 'data' && item.displayId !== null && item.displayId === event['display_id']) item.data = event['data']
      }
      return
    }
    if (this.clears) this.clear()
    if (type === 'stream') this.print(event['name'], event['text'])
    else if (type === 'display_data' || type === 'execute_result') {
      this.items.push({ kind: 'data', type, data: event['data'] ?? {}, displayId: event['display_id'] ?? null })
    } else if (type === 'error') this.items.push({ kind: 'error', error: event })
  }

  private print(name: 'stdout' | 'stderr', text: string): void {
    const last = this.items.at(-1)
    if (last?.kind === 'stream' && last.name === name) {
      last.pieces.push(text)
      last.length += text.length
    } else this.items.push({ kind: 'stream', name, pieces: [text], length: text.length })
  }

  private clear(): void {
    this.items = []
    this.clears = false
  }

  static of(list: Fields[]): Outputs {
    const made = new Outputs()
    for (const event of list) made.add(event)
    return made
  }
}

// oxlint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g

/** Text as a terminal would leave it on the screen: without colours, each line as it was written last. */
export function asPrinted(text: string): string {
  const plain = text.includes('\u001b') ? text.replace(ESCAPES, '') : text
  if (!plain.includes('\r')) return plain
  return plain
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\r', line.length - 2) + 1).replace(/\r$/, ''))
    .join('\n')
}

/** What a result says at the end of `text` beyond what was shown: which limit was reached, what was left out. */
export function beyond(text: string, shown: string): string {
  if (text.startsWith(shown)) return text.slice(shown.length).trim()
  // It was shortened for the model: what follows the last line that was shown.
  const said = new Set(shown.split('\n'))
  const lines = text.split('\n')
  const last = lines.findLastIndex((line) => line !== '' && said.has(line))
  return last < 0 ? '' : lines.slice(last + 1).join('\n').trim()
}
