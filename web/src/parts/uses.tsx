/** What the model has asked of a tool, and got back. */
import { useMemo } from 'preact/hooks'
import type { Fields } from '../api'
import { writtenString, type Answer } from '../chat'
import { beyond, type Outputs } from '../output'
import { Code, Files, Outside, WithJson } from './bits'
import { OutputList, Picture, Printed, pictureUrl } from './outputs'

const TOOLS: Record<string, string> = {
  code_execution: 'Python',
  bash_code_execution: 'Shell',
  text_editor_code_execution: 'Editor',
  web_search: 'Web search',
}

/** What a tool is asked, as far as the model has written it. */
function askedOf(block: Fields, pieces: string[] | undefined): { text: string; head: string; language: 'python' | 'text' } {
  const name = String(block['name'])
  const field = (key: string): string => (pieces ? writtenString(pieces.join(''), key) : String((block['input'] as Fields | undefined)?.[key] ?? ''))
  if (name === 'code_execution') return { text: field('code'), head: '', language: 'python' }
  if (name === 'bash_code_execution') return { text: field('command'), head: '', language: 'text' }
  if (name === 'text_editor_code_execution') {
    const old = field('old_str')
    const text = old ? `− ${old.replace(/\n/g, '\n− ')}\n+ ${field('new_str').replace(/\n/g, '\n+ ')}` : field('file_text')
    const path = field('path')
    return { text, head: `${field('command')} ${path}`.trim(), language: path.endsWith('.py') && !old ? 'python' : 'text' }
  }
  return { text: field('query') || (pieces ? pieces.join('') : JSON.stringify(block['input'] ?? {}, null, 2)), head: '', language: 'text' }
}

export function Use({ answer, block, index, results }: { answer: Answer; block: Fields; index: number; results: Fields[] }) {
  const pieces = answer.written.get(index)
  const isOpen = answer.open === index
  const asked = askedOf(block, pieces)
  // What a shell has printed stands whole in a result that has its streams, once that is there.
  const isWhole = block['name'] !== 'code_execution' && results.some((result) => typeof (result['content'] as Fields | undefined)?.['return_code'] === 'number')
  const outputs = isWhole ? undefined : answer.outputs.get(index)
  const runs = answer.isUnderWay && !isOpen && results.length === 0
  const isBad = results.some(isFailed)
  const ending = results.length ? (isBad ? 'Failed' : 'Done') : outputs ? 'Interrupted' : 'Not run'
  const tool = TOOLS[String(block['name'])] ?? String(block['name'])
  return (
    <article class={`jar ${runs ? 'running' : results.length ? (isBad ? 'bad' : 'good') : isOpen ? 'writing' : ''}`} aria-label={`${tool}: ${runs ? 'running' : isOpen ? 'being written' : ending.toLowerCase()}`}>
      <WithJson value={() => block} name={`the use of ${tool}`}>
        <header class="jar-head">
          <span class="tool">{tool}</span>
          {asked.head && <bdi class="faint">{asked.head}</bdi>}
          <span class="jar-state">{isOpen ? 'Writing…' : runs ? 'Running…' : ending}</span>
        </header>
        {asked.text && <Code code={asked.text} label={`${tool} of the model`} language={isOpen && asked.text.length > 20_000 ? 'text' : asked.language} />}
      </WithJson>
      {outputs && <OutputList outputs={outputs} container={answer.container} grows={runs} />}
      {results.map((result, at) => (
        <WithJson key={at} value={() => result} name="the result">
          <Result block={result} outputs={outputs ?? null} container={answer.container} />
        </WithJson>
      ))}
    </article>
  )
}

function isFailed(block: Fields): boolean {
  if (block['is_error']) return true
  const content = block['content'] as Fields | undefined
  return String(content?.['type'] ?? '').endsWith('_error') || (typeof content?.['return_code'] === 'number' && content['return_code'] !== 0)
}

/** Looked for once, and not whenever more of an answer comes. */
function Beyond({ text, shown }: { text: string; shown: string }) {
  const rest = useMemo(() => beyond(text, shown), [text, shown])
  if (!rest) return null
  return (
    <p class="note" dir="auto">
      {rest}
    </p>
  )
}

/** The block that answers a use; with what it has printed, where that was not shown as it happened. */
export function Result({ block, outputs, container }: { block: Fields; outputs: Outputs | null; container: string | null }) {
  if (block['type'] === 'code_execution_result') {
    const output = (block['output'] ?? {}) as Fields
    if (output['type'] === 'image') {
      if (outputs) return <p class="aside">The chart, as the model got it</p>
      const chart = output['alt'] ? { alt: output['alt'], id: output['chart_id'] } : null
      return <Picture url={pictureUrl(String(output['media_type']), String(output['data']))} chart={chart} fallback="A chart" container={container} />
    }
    return (
      <>
        {outputs && block['is_error'] && <Beyond text={String(output['text'] ?? '')} shown={outputs.written} />}
        {outputs && !block['files'] && <p class="aside">The result, as the model got it</p>}
        {!outputs && <Printed text={String(output['text'] ?? '')} name={block['is_error'] ? 'stderr' : 'stdout'} label="Result" />}
        <Files files={(block['files'] as Fields[] | undefined) ?? []} />
      </>
    )
  }
  const content = block['content'] as Fields | Fields[] | undefined
  if (Array.isArray(content)) {
    return (
      <ol class="found">
        {content.map((page, at) => (
          <li key={at}>
            <Outside url={String(page['url'] ?? '')}>{String(page['title'] ?? page['url'] ?? '')}</Outside>
            <span class="faint">
              {' '}
              <bdi>{hostOf(String(page['url'] ?? ''))}</bdi>
              {page['page_age'] ? `, ${page['page_age']}` : ''}
            </span>
          </li>
        ))}
      </ol>
    )
  }
  if (!content) return null
  const type = String(content['type'])
  if (type.endsWith('_error')) {
    return (
      <p class="error-words block" role="alert">
        <bdi>{String(content['error_message'] ?? content['error_code'])}</bdi>
      </p>
    )
  }
  if (typeof content['return_code'] === 'number') {
    const made = (Array.isArray(content['content']) ? (content['content'] as Fields[]) : []).filter((one) => one['file_id'])
    return (
      <>
        {!outputs && <Printed text={String(content['stdout'] ?? '')} name="stdout" label="Output" />}
        {!outputs && <Printed text={String(content['stderr'] ?? '')} name="stderr" label="Error output" />}
        {outputs && !made.length && content['return_code'] === 0 && <p class="aside">The result, as the model got it</p>}
        {outputs && <Beyond text={String(content['stderr'] ?? '')} shown={outputs.stderr} />}
        {content['return_code'] !== 0 && <p class="note">Return code {content['return_code']}</p>}
        <Files files={made} />
      </>
    )
  }
  const lines = content['content'] ?? content['lines']
  return <Printed text={Array.isArray(lines) ? lines.join('\n') : String(lines ?? '')} name="stdout" label="Result" />
}

function hostOf(url: string): string {
  return URL.parse(url)?.hostname ?? ''
}
