/** Where a message is written, and sent from. */
import { useLayoutEffect, useRef } from 'preact/hooks'
import { ask, draft, stop, underWay } from '../chat'
import { attach, attached, hasModel } from '../state'
import { Button } from './bits'
import { Waiting, pickFiles } from './files'

export const byTouch = matchMedia('(hover: none) and (pointer: coarse)')

export function Composer() {
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
