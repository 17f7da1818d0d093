/** CodeMirror. It stands in a shadow root, for there it brings its styles as sheets and not as elements, which the
 * page's policy forbids. */
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { python } from '@codemirror/lang-python'
import { bidiIsolates, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { EditorState, Prec } from '@codemirror/state'
import { EditorView, drawSelection, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers } from '@codemirror/view'
import { classHighlighter } from '@lezer/highlight'
import { useEffect, useRef } from 'preact/hooks'
import { runCode, source } from '../code'

const look = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'transparent', fontSize: 'var(--code-size)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', overflow: 'auto', maxBlockSize: '60vh', minBlockSize: '11rem' },
  '.cm-content': { caretColor: 'var(--accent)', paddingBlock: '.75rem' },
  '.cm-cursor': { borderInlineStartColor: 'var(--accent)', borderInlineStartWidth: '2px' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--faint)', border: 'none', paddingInlineStart: '.5rem' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--wash)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--select)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--select)', color: 'inherit' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line)', borderRadius: '6px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.tok-keyword, .tok-operatorKeyword, .tok-modifier': { color: 'var(--tok-keyword)' },
  '.tok-string, .tok-string2': { color: 'var(--tok-string)' },
  '.tok-number, .tok-bool, .tok-atom': { color: 'var(--tok-number)' },
  '.tok-comment': { color: 'var(--tok-comment)', fontStyle: 'italic' },
  '.tok-definition, .tok-className, .tok-typeName': { color: 'var(--tok-name)' },
})

/** Text typed over lines that are selected. The browser would join the lines by an inline style, which the page's policy
 * forbids and reports. */
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to } = view.state.selection.main
    const text = event.data
    if (event.inputType !== 'insertText' || text === null || event.isComposing || view.state.doc.lineAt(from).to >= to) return false
    const transaction = () => view.state.update(view.state.replaceSelection(text), { userEvent: 'input.type', scrollIntoView: true })
    const isHandled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, text, transaction))
    if (!isHandled) view.dispatch(transaction())
    event.preventDefault()
    return true
  },
})

/** Files go along with the run, by the place around the editor. It would put their text into the code as well. */
const droppedFiles = EditorView.domEventHandlers({
  drop: (event) => event.dataTransfer?.types.includes('Files') ?? false,
})

export function mount(host: HTMLElement): EditorView {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' })
  const run = (): boolean => {
    void runCode()
    return true
  }
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: source.value,
      extensions: [
        lineNumbers(),
        highlightSpecialChars(),
        history(),
        drawSelection(),
        EditorState.allowMultipleSelections.of(true),
        indentOnInput(),
        indentUnit.of('    '),
        syntaxHighlighting(classHighlighter),
        bracketMatching(),
        closeBrackets(),
        autocompletion(),
        highlightActiveLine(),
        python(),
        typedOver,
        droppedFiles,
        bidiIsolates(),
        look,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'Python code. Escape, then Tab, leaves the editor.', spellcheck: 'false' }),
        Prec.highest(keymap.of([{ key: 'Mod-Enter', run }])),
        keymap.of([{ key: 'Tab', run: acceptCompletion }, ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, indentWithTab]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) source.value = update.state.doc.toString()
        }),
      ],
    }),
  })
  return view
}

export default function Editor() {
  const host = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!host.current) return undefined
    const view = mount(host.current)
    const unsubscribe = source.subscribe((text) => {
      if (text !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
    })
    return () => {
      unsubscribe()
      view.destroy()
    }
  }, [])
  return <div class="editor" ref={host} />
}
