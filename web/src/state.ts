/** What the whole page knows: the server, the choices, the container, what was asked. */
import { effect, signal } from '@preact/signals'
import { Failure, UNREACHABLE, fetched, isGivenUp, posted, send, upload, wordsOf, type Fields, type Kept } from './api'
import { remember, remembered } from './keeping'
import { beginOf } from './words'

export type View = 'chat' | 'code'
export type Panel = 'container' | 'timeline' | 'snippet' | 'settings'
export type Theme = 'system' | 'light' | 'dark'

/** Others may serve from this address too, and write what they like. */
function chosenTheme(written: string | null): Theme {
  return written === 'light' || written === 'dark' ? written : 'system'
}

export const view = signal<View>(location.hash === '#code' ? 'code' : 'chat')
export const panel = signal<Panel>('container')
/** On a narrow screen the panel covers the rest, so it is closed until somebody opens it. */
export const isNarrow = signal(matchMedia('(max-width: 62rem)').matches)
export const isPanelOpen = signal(!isNarrow.value)
export const theme = signal<Theme>(chosenTheme(remembered('localStorage', 'belljar-theme')))
/** Each block's JSON stands beside it. */
export const showsJson = signal(false)
/** For screen readers: what has just happened. */
export const news = signal('')
/** What went wrong beside any one block. */
export const trouble = signal('')

export const health = signal<Fields | null>(null)
/** Null until they were asked for; none where they cannot be listed. */
export const models = signal<Fields[] | null>(null)
export const runtimes = signal<Fields[]>([])

export const model = signal('')
export const runtime = signal('')
export const toolVersion = signal('code_execution_20260521')
export const profile = signal<'' | 'anthropic' | 'inline'>('anthropic')
export const system = signal('')
/** As it is written; where nothing is, `USUAL_TOKENS` hold. */
export const maxTokens = signal('')
export const USUAL_TOKENS = 4096
/** The model may search the web, where the server can. */
export const searches = signal(false)
export const timeoutSeconds = signal('')
export const keepsContainer = signal(true)

export const VERSIONS = ['code_execution_20260521', 'code_execution_20260120', 'code_execution_20250825', 'code_execution_20250522'] as const

/** The container that chat and code share; null for none yet. */
export const container = signal<string | null>(null)
export const containerFacts = signal<Fields | null>(null)
export const containerFiles = signal<Fields[] | null>(null)

/** The requests of this page, the newest first, for the timeline. */
export const requests = signal<{ id: string; label: string }[]>([])
export const shownRequest = signal<string | null>(null)

export interface Repeatable {
  path: '/v1/messages' | '/v1/executions'
  body: Fields
  headers: Record<string, string>
  /** Uploads that the body names. */
  files: Kept[]
}
/** What was done last, for the snippet. */
export const lastDone = signal<Repeatable | null>(null)

effect(() => {
  const root = document.documentElement
  if (theme.value === 'system') {
    delete root.dataset['theme']
    remember('localStorage', 'belljar-theme', null)
  } else {
    root.dataset['theme'] = theme.value
    remember('localStorage', 'belljar-theme', theme.value)
  }
})
matchMedia('(max-width: 62rem)').addEventListener('change', (event) => {
  isNarrow.value = event.matches
  isPanelOpen.value = !event.matches
})
addEventListener('hashchange', () => {
  if (location.hash === '#code') view.value = 'code' // as an address that somebody has pasted says
})
effect(() => history.replaceState(null, '', view.value === 'code' ? '#code' : location.pathname))

export function began(requestId: string | null, label: string): void {
  if (!requestId) return
  requests.value = [{ id: requestId, label: beginOf(label.trim().replace(/\s+/g, ' '), 60) }, ...requests.value].slice(0, 50)
  shownRequest.value = requestId
}

/** Whether there is a model, or only the server that runs what stands between fences. */
export function hasModel(): boolean {
  return health.value !== null && health.value['upstream'] !== 'direct'
}

/** Whether the server, or the model's own, searches the web. */
export function canSearch(): boolean {
  const one = models.value?.find((it) => it['id'] === model.value) ?? models.value?.[0]
  return one?.['capabilities']?.server_tools?.web_search?.supported === true
}

/** How the server is; whether it could be asked. */
export async function lookAtHealth(): Promise<boolean> {
  try {
    health.value = await fetched<Fields>('/health')
    trouble.value = ''
    return true
  } catch (error) {
    trouble.value = wordsOf(error)
    return false
  }
}

export async function look(): Promise<void> {
  if (await lookAtHealth()) await Promise.all([lookAtModels(), lookAtRuntimes()])
}

async function lookAtModels(): Promise<void> {
  try {
    const { data } = await fetched<{ data: Fields[] }>('/v1/models?limit=1000')
    if (!model.value) model.value = String(data[0]?.['id'] ?? '')
    models.value = data
  } catch (error) {
    models.value = []
    if (!(error instanceof Failure && error.status === 401)) trouble.value = `Models cannot be listed: ${wordsOf(error)}`
  }
}

async function lookAtRuntimes(): Promise<void> {
  try {
    runtimes.value = (await fetched<{ data: Fields[] }>('/v1/runtimes')).data
    if (!runtime.value) runtime.value = String(runtimes.value.find((one) => one['is_default'])?.['name'] ?? '')
  } catch (error) {
    if (!(error instanceof Failure && error.status === 401)) trouble.value = `Runtimes cannot be listed: ${wordsOf(error)}`
  }
}

// -- the container -----------------------------------------------------------------------------------------

let looking: AbortController | null = null

export async function lookAtContainer(withFiles: boolean): Promise<void> {
  const id = container.value
  looking?.abort()
  if (id === null) {
    containerFacts.value = null
    containerFiles.value = null
    return
  }
  const mine = (looking = new AbortController())
  try {
    const facts = await fetched<Fields>(`/v1/containers/${id}`, mine.signal)
    if (trouble.value === UNREACHABLE) trouble.value = ''
    if (container.value === id) containerFacts.value = facts
    // Whoever lists files waits until no code runs, and wakes a container that sleeps.
    if (withFiles && facts['state'] !== 'asleep') {
      const files = await fetched<{ data: Fields[] }>(`/v1/containers/${id}/files`, mine.signal)
      if (container.value === id) containerFiles.value = files.data
    }
  } catch (error) {
    if (isGivenUp(error)) return
    if (error instanceof Failure && error.status === 404) forgetContainer(error.message)
    else trouble.value = wordsOf(error)
  }
}

export function useContainer(id: string | null): void {
  if (id === container.value) return
  container.value = id
  containerFacts.value = null
  containerFiles.value = null
}

export function forgetContainer(why: string): void {
  useContainer(null)
  trouble.value = `${why} The next run gets a new container.`
}

interface Work {
  state: string
  why: string
  readonly abort: AbortController
}

/** A run or an answer that does not come to its end: it was stopped, or has failed, which is said by `words`. */
export function brokenOff(work: Work, error: unknown, words: string): void {
  if (isGivenUp(error) || work.abort.signal.aborted) {
    work.state = 'stopped'
    news.value = 'Stopped'
    return
  }
  work.state = 'failed'
  work.why = wordsOf(error)
  news.value = `${words}: ${work.why}`
  const id = container.value
  if (id && error instanceof Failure && error.status === 404 && error.message.includes(id)) forgetContainer(error.message)
}

export async function makeContainer(limits?: Fields): Promise<string> {
  const body: Fields = {}
  if (limits && Object.keys(limits).length) body['limits'] = limits
  if (runtime.value) body['runtime'] = runtime.value
  const made = await posted<Fields>('/v1/containers', body)
  useContainer(String(made['id']))
  containerFacts.value = made
  containerFiles.value = []
  return String(made['id'])
}

export async function deleteContainer(): Promise<void> {
  const id = container.value
  if (id === null) return
  await send('DELETE', `/v1/containers/${id}`)
  useContainer(null)
}

export function filePath(path: string): string {
  return `/v1/containers/${container.value}/files/${path.split('/').map(encodeURIComponent).join('/')}`
}

// -- files for the next message or run ---------------------------------------------------------------------

export interface Attached {
  name: string
  size: number
  state: 'sending' | 'kept' | 'failed'
  kept: Kept | null
  why: string
}

/** Files that go along with what is sent next, of each view its own. */
export const attached = { chat: signal<Attached[]>([]), code: signal<Attached[]>([]) }

export async function attach(to: View, files: Iterable<File>): Promise<void> {
  const list = attached[to]
  await Promise.all(
    [...files].map(async (file) => {
      const entry: Attached = { name: file.name, size: file.size, state: 'sending', kept: null, why: '' }
      list.value = [...list.value, entry]
      try {
        const kept = await upload(file)
        replace(list.value.indexOf(entry) >= 0 ? entry : null, { ...entry, state: 'kept', kept })
        news.value = `${file.name} was uploaded`
      } catch (error) {
        replace(entry, { ...entry, state: 'failed', why: wordsOf(error) })
        news.value = `${file.name} could not be uploaded: ${wordsOf(error)}`
      }
      function replace(old: Attached | null, made: Attached): void {
        list.value = list.value.map((one) => (one === old ? made : one))
      }
    }),
  )
}

/** The uploads that are there, and none of them any more in the list. */
export function takeAttached(from: View): Kept[] {
  const list = attached[from]
  const taken = list.value.flatMap((one) => (one.kept ? [one.kept] : []))
  list.value = list.value.filter((one) => one.state !== 'kept')
  return taken
}

/** They go along with the next one: what they were sent with was not taken. */
export function giveBack(to: View, files: Kept[]): void {
  const back = files.map((kept): Attached => ({ name: kept.filename, size: kept.size_bytes, state: 'kept', kept, why: '' }))
  attached[to].value = [...back, ...attached[to].value]
}
