/** What a run printed and showed. */
import { useSignal } from '@preact/signals'
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { save, wordsOf, type Fields } from '../api'
import { MOST_MARKDOWN, fromHtml, fromMarkdown } from '../markup'
import { asPrinted, type Outputs, type Shown } from '../output'
import { beginOf, cutAt, size } from '../words'
import { Button, Nodes, WithJson } from './bits'

/** Of a text, that is shown at once; more is shown when somebody asks for it. */
const MOST_TEXT = 24_000
const PIECE = 20_000
const MOST_HTML = 400_000

/** A text in parts that are drawn when they come into sight. Each stands on lines of its own, so it ends where a line does. */
function pieces(text: string): string[] {
  const found = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at + PIECE) + 1 || text.length
    found.push(text.slice(at, end))
    at = end
  }
  return found
}

/** Text as it was printed: of a long one the begin and the end. While it grows its end is in sight, until somebody scrolls up. */
export function Printed({ text, name, label, grows = false }: { text: string; name: 'stdout' | 'stderr'; label: string; grows?: boolean }) {
  const isWhole = useSignal(false)
  const plain = useMemo(() => asPrinted(text), [text])
  const last = useRef<HTMLPreElement>(null)
  const isAtEnd = useRef(true)
  const onScroll = (event: Event): void => {
    const it = event.currentTarget as HTMLElement
    isAtEnd.current = it.scrollHeight - it.scrollTop - it.clientHeight < 40
  }
  useLayoutEffect(() => {
    if (grows && isAtEnd.current && last.current) last.current.scrollTop = last.current.scrollHeight
  }, [plain, grows])
  if (!plain.trim()) return null
  const isLong = plain.length > MOST_TEXT
  if (!isLong) return <pre ref={last} onScroll={onScroll} class={`printed ${name}`} tabIndex={0} role="group" aria-label={label}>{plain}</pre>
  if (isWhole.value) {
    return (
      <div>
        <pre class={`printed whole ${name}`} tabIndex={0} role="group" aria-label={label}>
          {pieces(plain).map((piece, at) => (
            <span class="piece" key={at}>
              {piece}
            </span>
          ))}
        </pre>
        <Button kind="quiet" onClick={() => (isWhole.value = false)}>
          Show less
        </Button>
      </div>
    )
  }
  const begin = cutAt(plain, MOST_TEXT / 2)
  const end = cutAt(plain, plain.length - MOST_TEXT / 2)
  return (
    <div class="long">
      <pre class={`printed ${name}`} tabIndex={0} role="group" aria-label={`${label}, its begin`}>{plain.slice(0, begin)}</pre>
      <p class="gap">
        {size(end - begin)} in between are not shown.{' '}
        <Button kind="quiet" onClick={() => (isWhole.value = true)}>
          Show all
        </Button>
      </p>
      <pre ref={last} onScroll={onScroll} class={`printed ${name}`} tabIndex={0} role="group" aria-label={`${label}, its end`}>{plain.slice(end)}</pre>
    </div>
  )
}

const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/svg+xml'] as const

export function pictureUrl(type: string, data: string): string {
  // An SVG in an <img> runs no script and loads nothing.
  if (type === 'image/svg+xml' && data.trimStart().startsWith('<')) return `data:${type};charset=utf-8,${encodeURIComponent(data)}`
  return `data:${type};base64,${data}`
}

/** The words of a chart, which the code's interpreter has said. */
export function chartOf(data: Record<string, string>): Fields | null {
  const text = data['application/vnd.belljar.chart+json']
  if (!text) return null
  try {
    return JSON.parse(text) as Fields
  } catch {
    return null
  }
}

/** `container` is the one that drew it, where it is kept: it can draw it again. */
export function Picture({ url, chart, fallback, container }: { url: string; chart: Fields | null; fallback: string; container: string | null }) {
  const why = useSignal('')
  const alt = String(chart?.['alt'] || fallback)
  const id = chart?.['id'] as string | undefined
  const draw = (format: string) =>
    void save(`/v1/containers/${container}/charts/${id}`, `chart.${format}`, { method: 'POST', json: { format } }).then(
      () => (why.value = ''),
      (error: unknown) => (why.value = wordsOf(error)),
    )
  return (
    <figure class="chart">
      <img src={url} alt={alt} />
      {chart && (
        <figcaption>
          <details>
            <summary>In words</summary>
            <p dir="auto">{alt}</p>
            <Series chart={chart} />
          </details>
          {id && container && (
            <span class="actions">
              {['png', 'svg', 'pdf'].map((format) => (
                <Button key={format} kind="quiet" label={`Download the chart as ${format.toUpperCase()}`} onClick={() => draw(format)}>
                  {format.toUpperCase()}
                </Button>
              ))}
            </span>
          )}
          {why.value && <span class="error-words" role="alert">{why.value}</span>}
        </figcaption>
      )}
    </figure>
  )
}

/** What a chart shows, as a table: of series that have an x and a y, the first points. */
function Series({ chart }: { chart: Fields }) {
  const axes = Array.isArray(chart['axes']) ? (chart['axes'] as Fields[]) : []
  const series = axes.flatMap((axis) => (Array.isArray(axis['series']) ? (axis['series'] as Fields[]) : [])).filter((one) => Array.isArray(one['x']) && Array.isArray(one['y']))
  return (
    <>
      {series.slice(0, 8).map((one, at) => (
        <div class="table" tabIndex={0} role="group" aria-label={`Values: ${one['name'] || at + 1}`} key={at}>
          <table>
            <caption dir="auto">{String(one['name'] || one['kind'] || 'Values')}</caption>
            <thead>
              <tr>
                <th scope="col">x</th>
                <th scope="col">y</th>
              </tr>
            </thead>
            <tbody>
              {(one['x'] as unknown[]).slice(0, 100).map((x, row) => (
                <tr key={row}>
                  <td dir="auto">{String(x)}</td>
                  <td>{String((one['y'] as unknown[])[row] ?? '')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ))}
    </>
  )
}

/** Something that was displayed, in the richest form that is safe. */
function Display({ data, name, container }: { data: Record<string, string>; name: string; container: string | null }) {
  const type = PICTURES.find((one) => data[one])
  if (type) {
    const chart = chartOf(data)
    return <Picture url={pictureUrl(type, data[type]!)} chart={chart} fallback={data['text/plain'] || 'A picture that the code has shown'} container={container} />
  }
  const html = data['text/html']
  if (html && html.length <= MOST_HTML) return <Nodes class="rich" make={() => fromHtml(html)} deps={[html]} />
  const markdown = data['text/markdown']
  if (markdown && markdown.length <= MOST_MARKDOWN) return <Nodes class="rich words" make={() => fromMarkdown(markdown)} deps={[markdown]} />
  const plain = data['text/plain']
  // What has no text of its own is called by its class, which says less than any other form.
  const text = (plain && /^<[\w.]+ object.*>$/.test(plain) ? undefined : plain) ?? data['text/latex'] ?? data['application/json'] ?? plain ?? Object.values(data)[0] ?? ''
  return <Printed text={text} name="stdout" label={name} />
}

export function Fault({ error }: { error: Fields }) {
  const frames = Array.isArray(error['frames']) ? (error['frames'] as Fields[]) : []
  const values = Array.isArray(error['values']) ? (error['values'] as Fields[]) : []
  const traceback = Array.isArray(error['traceback']) ? (error['traceback'] as string[]).join('\n') : ''
  const brief = Array.isArray(error['brief']) ? (error['brief'] as string[]).join('\n') : String(error['brief'] ?? '')
  const own = [...frames].reverse().find((frame) => frame['is_own'])
  return (
    <div class="fault">
      <p class="fault-name">
        <strong>{String(error['ename'])}</strong>
        {error['evalue'] ? (
          <>
            {': '}
            <bdi>{beginOf(String(error['evalue']), 2000)}</bdi>
          </>
        ) : null}
      </p>
      {own && (
        <p class="fault-place">
          Line {String(own['line'])} of <bdi>{String(own['file'])}</bdi>
          {own['code'] ? <code dir="ltr">{String(own['code'])}</code> : null}
        </p>
      )}
      {error['hint'] ? <p class="hint" dir="auto">{String(error['hint'])}</p> : null}
      {values.length > 0 && (
        <details>
          <summary>Values at that place</summary>
          <dl class="values">
            {values.map((value, at) => (
              <div key={at}>
                <dt>
                  <code dir="ltr">{String(value['name'])}</code> <span class="faint">{String(value['type'])}</span>
                </dt>
                <dd dir="auto">{String(value['text'])}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
      {(traceback || brief) && (
        <details>
          <summary>Traceback</summary>
          <pre class="printed stderr" tabIndex={0} role="group" aria-label="Traceback" dir="ltr">
            {beginOf(asPrinted(brief && brief.length < traceback.length ? brief : traceback || brief), 40_000)}
          </pre>
          {brief && brief.length < traceback.length && (
            <details>
              <summary>With the calls of libraries</summary>
              <pre class="printed stderr" tabIndex={0} role="group" aria-label="Whole traceback" dir="ltr">
                {beginOf(asPrinted(traceback), 100_000)}
              </pre>
            </details>
          )}
        </details>
      )}
    </div>
  )
}

const NAMES = { stdout: 'Output', stderr: 'Error output' } as const

function jsonOf(item: Shown): unknown {
  if (item.kind === 'stream') return { type: 'stream', name: item.name, text: item.pieces.join('') }
  if (item.kind === 'error') return item.error
  const data = Object.fromEntries(Object.entries(item.data).map(([type, text]) => [type, type.includes('+json') || type === 'application/json' ? parsed(text) : text]))
  return { type: item.type, data, ...(item.displayId === null ? {} : { display_id: item.displayId }) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export function OutputList({ outputs, container, grows }: { outputs: Outputs; container: string | null; grows: boolean }) {
  return (
    <>
      {outputs.items.map((item, at) => {
        const name = item.kind === 'stream' ? NAMES[item.name] : item.kind === 'error' ? 'Exception' : item.type === 'execute_result' ? 'Value' : 'Display'
        return (
          <WithJson key={at} value={() => jsonOf(item)} name={name.toLowerCase()}>
            {item.kind === 'stream' ? (
              <Printed text={item.pieces.length > 1 ? (item.pieces = [item.pieces.join('')])[0]! : (item.pieces[0] ?? '')} name={item.name} label={NAMES[item.name]} grows={grows} />
            ) : item.kind === 'error' ? (
              <Fault error={item.error} />
            ) : (
              <Display data={item.data} name={name} container={container} />
            )}
          </WithJson>
        )
      })}
    </>
  )
}
