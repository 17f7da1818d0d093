/** A conversation: questions, and what the model says, writes and gets back. */
import { useSignal } from '@preact/signals'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { Fields } from '../api'
import { draft, exchanges, goOn, retry, startOver, type Answer, type Exchange } from '../chat'
import { MOST_MARKDOWN, fromMarkdown } from '../markup'
import { hasModel, health, view } from '../state'
import { beginOf, count, inOrder, size } from '../words'
import { Button, Code, Icon, Nodes, Outside, WithJson } from './bits'
import { Composer, byTouch } from './composer'
import { DropZone } from './files'
import { Printed } from './outputs'
import { Result, Use } from './uses'

/** Markdown of this length is drawn again with each piece; what is longer is shown plainly until it is whole. */
const MOST_LIVE = 60_000

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
  const before = useRef(0)
  const follow = () => {
    if (!follows.current) return
    end.current?.scrollIntoView({ block: 'end' })
    // Where the conversation has become shorter, this is further up, and no reader has gone there.
    before.current = scrollY
  }
  useEffect(() => {
    before.current = scrollY
    const onScroll = () => {
      const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 160
      // What has grown since we scrolled is no reader who has gone away: that one scrolls up.
      follows.current = isAtEnd || (follows.current && scrollY >= before.current)
      before.current = scrollY
    }
    addEventListener('scroll', onScroll, { passive: true })
    // A picture is as high as it is when it has been read, which may be behind the last word. The window hears nothing of it.
    document.addEventListener('load', follow, { capture: true })
    return () => {
      removeEventListener('scroll', onScroll)
      document.removeEventListener('load', follow, { capture: true })
    }
  }, [])
  const asked = useRef(list.length)
  useLayoutEffect(() => {
    if (list.length > asked.current) follows.current = true
    asked.current = list.length
    if (list.length === 0) return undefined
    // What has changed is drawn behind this effect: the parts of an answer lie deeper than we do.
    const frame = requestAnimationFrame(follow)
    return () => cancelAnimationFrame(frame)
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
  const shown = isWhole.value || text.length <= most ? text : `${beginOf(text, most)}…`
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
  const shown = new Set([...answer.results.values()].flat())
  // Without a model the answer's words are what the code has printed, and no Markdown: its lines would run into one another.
  const isOutput = !hasModel() && answer.results.size > 0
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
              {isOutput ? <Printed text={text} name="stdout" label="Text" /> : <Markdown text={text} isWhole={answer.open !== index} citations={block['citations']} />}
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
        if (type === 'server_tool_use') return <Use key={index} answer={answer} block={block} index={index} results={answer.results.get(index) ?? []} />
        if (shown.has(block)) return null // with its use
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
