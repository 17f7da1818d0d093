/** The server's HTTP API, as any client has it. */
import { signal } from '@preact/signals'
import { remember, remembered } from './keeping'

/** Where the server is, as a client is told: a proxy may have it below a path of its own. */
export const HOME = new URL('.', location.href).href.replace(/\/$/, '')

const KEY = 'belljar-key'

/** The API key, which this tab alone remembers. */
export const key = signal(remembered('sessionStorage', KEY) ?? '')
/** What the server says when it wants another key; empty while it is content. */
export const keyRefusal = signal('')

export function rememberKey(value: string): void {
  key.value = value
  remember('sessionStorage', KEY, value || null)
}

/** What the server, or the way to it, has to say of a request that failed. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly kind: string,
    readonly requestId: string | null,
  ) {
    super(message)
  }
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type Fields = { [name: string]: any }

interface Asked {
  body?: BodyInit
  json?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Send a request. Throws Failure where the answer is an error, and what fetch throws where it was given up. */
export async function send(method: string, path: string, asked: Asked = {}): Promise<Response> {
  const headers: Record<string, string> = { ...asked.headers }
  const shown = key.value
  if (shown) headers['x-api-key'] = shown
  if (asked.json !== undefined) headers['content-type'] = 'application/json'
  const body = asked.json === undefined ? asked.body : JSON.stringify(asked.json)
  let response: Response
  try {
    response = await fetch(HOME + path, {
      method,
      headers,
      credentials: 'omit',
      cache: 'no-store',
      ...(body === undefined ? {} : { body }),
      ...(asked.signal ? { signal: asked.signal } : {}),
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new Failure(UNREACHABLE, 0, 'connection', null)
  }
  if (response.ok) return response
  throw await failureOf(response, shown)
}

async function failureOf(response: Response, shown: string): Promise<Failure> {
  const requestId = response.headers.get('request-id')
  let message = `The server has answered ${response.status}.`
  let kind = 'api_error'
  try {
    const told = (await response.json()) as Fields
    message = String(told['error']?.message ?? message)
    kind = String(told['error']?.type ?? kind)
  } catch {
    // A proxy between has answered, in words of its own that nobody needs.
  }
  // A late word on the key of before is none on the one that was given meanwhile.
  if (response.status === 401 && shown === key.value) keyRefusal.value = message
  return new Failure(message, response.status, kind, requestId)
}

export async function fetched<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send('GET', path, signal ? { signal } : {})
  return (await response.json()) as T
}

export async function posted<T>(path: string, json: unknown): Promise<T> {
  return (await (await send('POST', path, { json })).json()) as T
}

/** The next piece. Throws Failure where the connection breaks off, and what the browser throws where it was given up. */
async function read(reader: ReadableStreamDefaultReader<string>, requestId: string | null): Promise<ReadableStreamReadResult<string>> {
  try {
    return await reader.read()
  } catch (error) {
    if (isGivenUp(error)) throw error
    throw new Failure(BROKEN_OFF, 0, 'connection', requestId)
  }
}

export const UNREACHABLE = 'The server cannot be reached. Is it still running? Look at its terminal, then try again.'
export const BROKEN_OFF = 'The connection broke off before the end. Is the server still running? Look at its terminal, then try again.'

/** The events of a stream; an `error` among them is thrown. */
export async function* events(response: Response): AsyncGenerator<Fields> {
  const requestId = response.headers.get('request-id')
  if (!response.body) return
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await read(reader, requestId)
      if (done) return
      // A line may be of megabytes: what was looked through is not looked through again.
      let end = value.indexOf('\n')
      if (end >= 0) end += rest.length
      rest += value
      let from = 0
      for (; end >= 0; end = rest.indexOf('\n', from)) {
        const line = rest.slice(from, end)
        from = end + 1
        if (!line.startsWith('data: ')) continue
        const event = JSON.parse(line.slice(6)) as Fields
        if (event['type'] === 'error' && event['error']) {
          throw new Failure(String(event['error'].message), response.status, String(event['error'].type), requestId)
        }
        yield event
      }
      rest = rest.slice(from)
    }
  } finally {
    void reader.cancel().catch(() => undefined)
  }
}

export interface Kept {
  id: string
  filename: string
  size_bytes: number
}

/** Throws for a folder, and for a file that has gone or changed since: of the request itself no more would be known than that it failed. */
export async function lookIsReadable(file: File): Promise<void> {
  const reader = file.stream().getReader()
  try {
    await reader.read()
    void reader.cancel()
  } catch {
    throw new Failure(`It cannot be read. A folder cannot be sent; a file that was moved or changed is to be picked again.`, 0, 'file', null)
  }
}

/** Send a file to the server, which keeps it until it is deleted, or for a day. */
export async function upload(file: File): Promise<Kept> {
  await lookIsReadable(file)
  const form = new FormData()
  form.append('file', file, safeName(file.name))
  form.append('expires_in_seconds', '86400')
  return (await (await send('POST', '/v1/files', { body: form })).json()) as Kept
}

const MOST_NAME_BYTES = 255

/** A name as the server takes it: one that is too long is cut before its ending. */
export function safeName(name: string): string {
  // oxlint-disable-next-line no-control-regex
  const clean = name.replace(/[<>:"|?*\\/\u0000-\u001f\u007f-\u009f]/g, '_')
  const ending = /\.[^.]{1,16}$/u.exec(clean)?.[0] ?? ''
  const begin = Array.from(clean.slice(0, clean.length - ending.length))
  let left = MOST_NAME_BYTES - new TextEncoder().encode(ending).length
  const fits = begin.findIndex((letter) => (left -= new TextEncoder().encode(letter).length) < 0)
  return (fits < 0 ? begin : begin.slice(0, fits)).join('') + ending || 'file'
}

/** Have the browser save what a path has: it is fetched here, for a link could not show the key. */
export async function save(path: string, filename: string, asked: { method?: string; json?: unknown } = {}): Promise<void> {
  const response = await send(asked.method ?? 'GET', path, asked.json === undefined ? {} : { json: asked.json })
  saveBlob(await response.blob(), filename)
}

export function saveBlob(blob: Blob, filename: string): void {
  // As bytes and nothing else: what a run made must not become a page of ours.
  const url = URL.createObjectURL(new Blob([blob], { type: 'application/octet-stream' }))
  const link = document.createElement('a')
  link.href = url
  link.download = filename
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

export function isGivenUp(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
