/** Numbers and states in words. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${unit === 0 && bytes === 1 ? 'byte' : UNITS[unit]}`
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1) return `${milliseconds.toFixed(2)} ms`
  if (milliseconds < 1000) return `${milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)} ms`
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}

const OUTCOMES: Record<string, string> = {
  completed: 'Completed',
  raised: 'Raised an exception',
  exited: 'Exited',
  timed_out: 'Out of time',
  out_of_memory: 'Out of memory',
  output_exceeded: 'Too much output',
  disk_full: 'Out of disk',
  interrupted: 'Interrupted',
  crashed: 'Crashed',
  lost: 'Session lost',
}

export function outcome(status: string): string {
  return OUTCOMES[status] ?? status
}

/** How an outcome is to be taken. */
export function mood(status: string): 'good' | 'bad' | 'limit' {
  if (status === 'completed') return 'good'
  return ['timed_out', 'out_of_memory', 'output_exceeded', 'disk_full'].includes(status) ? 'limit' : 'bad'
}

const LIMITS: Record<string, [string, (value: number) => string]> = {
  timeout_seconds: ['time', (value) => `${value} s`],
  memory_bytes: ['memory', size],
  disk_bytes: ['disk', size],
  disk_inodes: ['number of files', (value) => value.toLocaleString('en')],
  output_bytes: ['output', size],
  pids: ['processes', (value) => value.toLocaleString('en')],
  cpus: ['processors', (value) => String(value)],
}

/** A limit that has ended a run, or an empty text. */
export function limit(reached: { name: string; value: number; peak: number | null } | null | undefined): string {
  if (!reached) return ''
  const [name, shown] = LIMITS[reached.name] ?? [reached.name, String]
  const peak = reached.peak === null ? '' : `; used: ${shown(reached.peak)}`
  return `Limit of ${name}: ${shown(reached.value)}${peak}`
}

const CHARACTERS = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Where to cut a text near `at`: before the character that stands there. An emoji of several code points is one. */
export function cutAt(text: string, at: number): number {
  const from = Math.max(0, at - 64)
  return from + (CHARACTERS.segment(text.slice(from, at + 64)).containing(at - from)?.index ?? at - from)
}

/** The begin of a text, of at most so many code units. */
export function beginOf(text: string, most: number): string {
  return text.length > most ? text.slice(0, cutAt(text, most)) : text
}

export function json(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' && inner.length > 2000 ? `${beginOf(inner, 2000)}… (${size(inner.length)})` : inner), 2)
}

/** A file's name without what turns the order of its letters around: what is a program must not seem to end in `.jpg`. */
export function inOrder(name: string): string {
  return name.replace(/[\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}
