/** The program that repeats what was done last. */
import { useSignal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { HOME, key } from '../api'
import { snippet, type Language } from '../snippets'
import { lastDone } from '../state'
import { Code, CopyButton } from './bits'

const LANGUAGES: [Language, string][] = [
  ['python', 'Python'],
  ['javascript', 'JavaScript'],
  ['curl', 'curl'],
]

export function SnippetPanel() {
  const language = useSignal<Language>('python')
  const done = lastDone.value
  const text = useMemo(() => (done ? snippet(language.value, done, HOME, Boolean(key.value)) : ''), [done, language.value, key.value])
  if (!done) return <p class="faint">After the first message or run, the same stands here as a program: with the official SDKs, or with curl.</p>
  return (
    <>
      <div class="row between">
        <div class="choice" role="group" aria-label="Language">
          {LANGUAGES.map(([name, label]) => (
            <button type="button" key={name} aria-pressed={language.value === name} onClick={() => (language.value = name)}>
              {label}
            </button>
          ))}
        </div>
        <CopyButton text={() => text} what="snippet" />
      </div>
      <Code code={text} label="Snippet" language={language.value === 'python' ? 'python' : 'text'} />
      <ul class="hints">
        <li>
          {language.value === 'python' ? <code>pip install anthropic</code> : language.value === 'javascript' ? <code>npm install @anthropic-ai/sdk</code> : 'A shell with curl and sed runs it.'}
        </li>
        {key.value && (
          <li>
            The key is read from <code>BELLJAR_API_KEY</code>: it is not in the snippet.
          </li>
        )}
        {done.files.length > 0 && <li>It sends the files anew, from the folder that it is run in.</li>}
        {done.body['container'] && <li>It names the container of this page, so variables and files are there. Leave that out for a fresh one.</li>}
      </ul>
    </>
  )
}
