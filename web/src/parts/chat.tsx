/** A conversation: questions, and what the model says, writes and gets back. */
import { useSignal } from '@preact/signals'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import type { Fields } from '../api'
import { ask, draft, exchanges, goOn, retry, startOver, stop, underWay, writtenString, type Answer, type Exchange } from '../chat'
import { MOST_MARKDOWN, fromMarkdown } from '../markup'
import { beyond, type Outputs } from '../output'
import { attach, attached, hasModel, health, view } from '../state'
import { count, inOrder, size } from '../words'
import { Button, Code, Files, Icon, Nodes, WithJson } from './bits'
import { DropZone, Waiting, pickFiles } from './files'
import { OutputList, Picture, Printed, pictureUrl } from './outputs'

/** Markdown of this length is drawn again with each piece; what is longer is shown plainly until it is whole. */
const MOST_LIVE = 60_000

const byTouch = matchMedia('(hover: none) and (pointer: coarse)')

const IDEAS = [
  'Draw the sine and the cosine between 0 and 2π in one chart, with a legend.',
  'Which day of the week was 29 February most often since 1600?',
  'Make a table of ten invented customers and save it as CSV and as Excel.',
]
const DIRECT_IDEAS = ['```python\nprint(2 ** 100)\n```', '```python\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9, 16])\nplt.title("Squares")\n```']

/** Keeps the end of the conversation in sight, as long as its reader does; a new question brings it there. */
function Follow() {
  const end = useRef<HTMLDivElement>(null)
  const list = exchanges.value
  const version = list.at(-1)?.answers.at(-1)?.version.value
  const follows = useRef(true)
  useEffect(() => {
    let before = scrollY
    const onScroll = () => {
      const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 160
      // What has grown since we scrolled is no reader who has gone away: that one scrolls up.
      follows.current = isAtEnd || (follows.current && scrollY >= before)
      before = scrollY
    }
    // A picture is as high as it is when it has been read, which may be behind the last word.
    const onPicture = () => {
      if (follows.current) end.current?.scrollIntoView({ block: 'end' })
    }
    addEventListener('scroll', onScroll, { passive: true })
    addEventListener('load', onPicture, { capture: true })
    return () => {
      removeEventListener('scroll', onScroll)
      removeEventListener('load', onPicture, { capture: true })
    }
  }, [])
  const asked = useRef(list.length)
  useLayoutEffect(() => {
    if (list.length > asked.current) follows.current = true
    asked.current = list.length
    if (list.length && follows.current) end.current?.scrollIntoView({ block: 'end' })
  }, [version, list.length])
  return <div ref={end} class="chat-end" />
}

export function Chat() {
  const list = exchanges.value
  return (
    <DropZone to="chat" class="chat">
      <h1 class="sr">Chat</h1>
      {list.length === 0 ? (
        <Welcome />
      ) : (
        <ol class="exchanges" aria-label="Conversation">
          {list.map((exchange, at) => (
            <One exchange={exchange} isLast={at === list.length - 1} key={at} />
          ))}
        </ol>
      )}
      <Follow />
      <Composer />
    </DropZone>
  )
}

function Welcome() {
  const is = health.value === null ? 'unknown' : hasModel() ? 'model' : 'none'
  return (
    <div class="welcome">
      <svg class="big-jar" viewBox="0 0 120 120" aria-hidden="true">
        <path d="M28 96V52a32 32 0 0 1 64 0v44" />
        <path d="M18 97h84M60 20v-9M56 8h8" />
        <path class="lit" d="m46 60 12 11-12 11M64 83h13" />
      </svg>
      {is === 'none' ? (
        <>
          <h2>No model is connected</h2>
          <p>
            Python between <code>```python</code> and <code>```</code> in a message is run all the same, and{' '}
            <a
              href="#code"
              onClick={(event) => {
                event.preventDefault()
                view.value = 'code'
              }}
            >
              code can be written without a model
            </a>
            . To connect one, start the server with one of these:
          </p>
          <Code language="text" label="How to connect a model" code={'ANTHROPIC_API_KEY=… belljar serve --upstream anthropic:https://api.anthropic.com\nbelljar serve --upstream openai:http://127.0.0.1:11434'} />
        </>
      ) : (
        <>
          <h2>Ask for something that takes code</h2>
          <p>The model writes it, and it runs in a jail on this server. Files that you drop here lie beside it.</p>
        </>
      )}
      <ul class="ideas" aria-label="For a start">
        {(is === 'none' ? DIRECT_IDEAS : IDEAS).map((idea) => (
          <li key={idea}>
            <button
              type="button"
              onClick={() => {
                draft.value = idea
                document.getElementById('message')?.focus()
              }}
            >
              {is === 'none' ? <code>{idea}</code> : idea}
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}

function One({ exchange, isLast }: { exchange: Exchange; isLast: boolean }) {
  const { question, answers } = exchange
  const last = answers.at(-1)
  return (
    <li class="exchange">
      <WithJson name="the question" value={() => ({ role: 'user', content: question.files.length ? [...question.files.map((file) => ({ type: 'container_upload', file_id: file.id })), { type: 'text', text: question.text }] : question.text })}>
        <div class="question">
          <h2 class="sr">You</h2>
          {question.files.length > 0 && (
            <ul class="chips" aria-label="Files">
              {question.files.map((file) => (
                <li class="chip" key={file.id}>
                  <Icon name="clip" />
                  <bdi>{inOrder(file.filename)}</bdi>
                  <span class="faint">{size(file.size_bytes)}</span>
                </li>
              ))}
            </ul>
          )}
          {question.text && <Plain text={question.text} />}
        </div>
      </WithJson>
      {answers.map((answer, at) => (
        <Reply answer={answer} key={at} />
      ))}
      {isLast && last && !last.isUnderWay && (
        <div class="after">
          {last.state === 'done' && last.message['stop_reason'] === 'pause_turn' && (
            <Button kind="main" onClick={() => toMessage(goOn)}>
              Let it go on
            </Button>
          )}
          <Button kind="quiet" icon="again" onClick={() => toMessage(retry)}>
            {last.state === 'done' ? 'Ask again' : 'Try again'}
          </Button>
          <Button kind="quiet" icon="plus" onClick={() => toMessage(startOver)}>
            New conversation
          </Button>
        </div>
      )}
    </li>
  )
}

/** The button that was pressed goes, and the focus would with it; by touch it would bring the keyboard up. */
function toMessage(act: () => void): void {
  if (!byTouch.matches) document.getElementById('message')?.focus({ preventScroll: true })
  act()
}

/** Somebody's own words, of whatever length. */
function Plain({ text }: { text: string }) {
  const isWhole = useSignal(false)
  const most = 6000
  const shown = isWhole.value || text.length <= most ? text : `${text.slice(0, most)}…`
  return (
    <>
      {shown.split(/\n{2,}/).map((part, at) => (
        <p dir="auto" class="own-words" key={at}>
          {part}
        </p>
      ))}
      {text.length > most && (
        <Button kind="quiet" onClick={() => (isWhole.value = !isWhole.value)}>
          {isWhole.value ? 'Show less' : `Show all of ${size(text.length)}`}
        </Button>
      )}
    </>
  )
}

const STOPS: Record<string, string> = {
  max_tokens: 'The answer has reached the most tokens that it may have. Raise them in Settings.',
  refusal: 'The model has refused to go on.',
  pause_turn: 'The server has paused here, since the answer took long.',
  model_context_window_exceeded: 'The conversation is longer than the model can read. Begin a new one.',
}

function Reply({ answer }: { answer: Answer }) {
  void answer.version.value
  const results = new Map<string, Fields[]>()
  for (const block of answer.blocks) {
    const id = block?.['tool_use_id'] as string | undefined
    if (id) results.set(id, [...(results.get(id) ?? []), block])
  }
  const uses = new Set(answer.blocks.filter((block) => block?.['type'] === 'server_tool_use').map((block) => block['id'] as string))
  const usage = answer.message['usage'] as Fields | undefined
  const stopped = answer.state === 'done' ? STOPS[String(answer.message['stop_reason'])] : undefined
  return (
    <div class="reply" aria-busy={answer.isUnderWay}>
      <h2 class="sr">Answer</h2>
      {answer.blocks.map((block, index) => {
        if (!block) return null
        const type = String(block['type'])
        if (type === 'text') {
          const text = String(block['text'] ?? '')
          if (!text) return null
          return (
            <WithJson key={index} value={() => block} name="the text">
              <Markdown text={text} isWhole={answer.open !== index} citations={block['citations']} />
            </WithJson>
          )
        }
        if (type === 'thinking' || type === 'redacted_thinking') {
          return (
            <WithJson key={index} value={() => block} name="the thinking">
              <details class="thinking" open={answer.open === index}>
                <summary>{answer.open === index ? 'Thinking…' : 'Thoughts'}</summary>
                <Plain text={String(block['thinking'] ?? 'The model server keeps these thoughts to itself.')} />
              </details>
            </WithJson>
          )
        }
        if (type === 'server_tool_use') return <Use key={index} answer={answer} block={block} index={index} results={results.get(block['id']) ?? []} />
        if (block['tool_use_id'] && uses.has(block['tool_use_id'])) return null // shown with its use
        return (
          <WithJson key={index} value={() => block} name="the block">
            {block['tool_use_id'] ? <Result block={block} outputs={null} container={answer.container} /> : <p class="faint">A block of the type {type}</p>}
          </WithJson>
        )
      })}
      {answer.isUnderWay && answer.open === null && <Working words={answer.state === 'waiting' ? 'Waiting for the answer' : 'Working'} />}
      {answer.state === 'stopped' && <p class="note">Stopped. What ran has been interrupted.</p>}
      {stopped && <p class="note">{stopped}</p>}
      {answer.state === 'failed' && (
        <p class="error-words block" role="alert">
          <bdi>{answer.why}</bdi>
        </p>
      )}
      {usage && !answer.isUnderWay && (
        <p class="used">
          {count(tokens(usage), 'input token')}, {count(usage['output_tokens'] ?? 0, 'output token')}
          {usage['belljar']?.estimated ? ' (estimated)' : ''}
          {usage['server_tool_use']?.code_execution_requests ? `, ${count(usage['server_tool_use'].code_execution_requests, 'execution')}` : ''}
          {usage['belljar']?.amount ? `, ${usage['belljar'].amount} ${usage['belljar'].currency}` : ''}
        </p>
      )}
    </div>
  )
}

function tokens(usage: Fields): number {
  return (usage['input_tokens'] ?? 0) + (usage['cache_read_input_tokens'] ?? 0) + (usage['cache_creation_input_tokens'] ?? 0)
}

function Working({ words }: { words: string }) {
  return (
    <p class="working">
      <span class="pulse" aria-hidden="true" />
      {words}
    </p>
  )
}

function Markdown({ text, isWhole, citations }: { text: string; isWhole: boolean; citations?: Fields[] }) {
  if (text.length > (isWhole ? MOST_MARKDOWN : MOST_LIVE)) return <Printed text={text} name="stdout" label="Text" />
  return (
    <>
      <Nodes class="words" make={() => fromMarkdown(text)} deps={[text]} />
      {Array.isArray(citations) && citations.length > 0 && (
        <ul class="sources" aria-label="Sources">
          {citations.map((one, at) => (
            <li key={at}>
              <Outside url={String(one['url'] ?? '')}>{String(one['title'] || one['url'] || 'Source')}</Outside>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function Outside({ url, children }: { url: string; children: string }) {
  return /^https?:\/\//.test(url) ? (
    <a href={url} target="_blank" rel="noopener noreferrer nofollow">
      <bdi>{children}</bdi>
    </a>
  ) : (
    <bdi>{children}</bdi>
  )
}

function hostOf(url: string): string {
  return URL.parse(url)?.hostname ?? ''
}

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

function Use({ answer, block, index, results }: { answer: Answer; block: Fields; index: number; results: Fields[] }) {
  const pieces = answer.written.get(index)
  const isOpen = answer.open === index
  const asked = askedOf(block, pieces)
  // What a shell has printed stands whole in a result that has its streams, once that is there.
  const isWhole = block['name'] !== 'code_execution' && results.some((result) => typeof (result['content'] as Fields | undefined)?.['return_code'] === 'number')
  const outputs = isWhole ? undefined : answer.outputs.get(String(block['id']))
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
function Result({ block, outputs, container }: { block: Fields; outputs: Outputs | null; container: string | null }) {
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

function Composer() {
  const area = useRef<HTMLTextAreaElement>(null)
  const text = draft.value
  const now = underWay()
  void now?.version.value
  const list = attached.chat.value
  const isReady = !list.some((one) => one.state === 'sending') && (text.trim() !== '' || list.some((one) => one.kept))
  useLayoutEffect(() => {
    const it = area.current
    if (!it) return
    it.style.blockSize = 'auto'
    it.style.blockSize = `${Math.min(it.scrollHeight + 2, innerHeight * 0.4)}px`
  }, [text])
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        ask()
      }}
    >
      <Waiting to="chat" />
      <label class="sr" for="message">
        Message
      </label>
      <textarea
        id="message"
        ref={area}
        dir="auto"
        rows={1}
        value={text}
        placeholder={hasModel() ? 'Message, or drop files' : 'Python between fences'}
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.isComposing || event.altKey) return
          if (event.shiftKey && !event.ctrlKey && !event.metaKey) return
          // Whoever writes code between fences wants new lines, and a keyboard on glass has no Shift with Enter.
          if (!event.ctrlKey && !event.metaKey && (byTouch.matches || isInFence(event.currentTarget))) return
          event.preventDefault()
          ask()
        }}
        onPaste={(event) => {
          const files = event.clipboardData?.files
          // What comes from a spreadsheet has its picture beside its words, and the words are meant.
          if (files?.length && !event.clipboardData?.getData('text/plain')) {
            event.preventDefault()
            void attach('chat', files)
          }
        }}
      />
      <div class="composer-row">
        <Button kind="quiet" icon="clip" label="Attach files" onClick={() => pickFiles((files) => void attach('chat', files))} />
        <span class="composer-hint">{byTouch.matches ? '' : 'Enter sends, Shift with Enter begins a line'}</span>
        {now ? (
          <Button kind="main" icon="stop" follows onClick={stop}>
            Stop
          </Button>
        ) : (
          <Button kind="main" icon="send" onClick={ask} disabled={!isReady}>
            Send
          </Button>
        )}
      </div>
    </form>
  )
}

function isInFence(area: HTMLTextAreaElement): boolean {
  const before = area.value.slice(0, area.selectionStart)
  return (before.match(/^[ \t]*```/gm)?.length ?? 0) % 2 === 1
}
