/** What is asked, and of whom. */
import { useEffect } from 'preact/hooks'
import { key, rememberKey } from '../api'
import { USUAL_TOKENS, VERSIONS, canSearch, container, hasModel, health, lookAtHealth, maxTokens, model, models, profile, runtime, runtimes, searches, showsJson, system, toolVersion } from '../state'
import { Button } from './bits'

export function SettingsPanel() {
  useEffect(() => void lookAtHealth(), [])
  const about = health.value
  const listed = models.value ?? []
  const names = listed.map((one) => String(one['id']))
  return (
    <div class="settings">
      <label class="field">
        Model
        {models.value === null || names.length ? (
          <select value={model.value} disabled={models.value === null} onChange={(event) => (model.value = event.currentTarget.value)}>
            {!names.includes(model.value) && model.value && <option value={model.value}>{model.value}</option>}
            {listed.map((one) => (
              <option value={one['id']} key={one['id']}>
                {one['display_name'] && one['display_name'] !== one['id'] ? `${one['display_name']} (${one['id']})` : one['id']}
              </option>
            ))}
          </select>
        ) : (
          <input type="text" dir="auto" value={model.value} placeholder="As the model server calls it" onInput={(event) => (model.value = event.currentTarget.value)} />
        )}
      </label>
      {about && !hasModel() && <p class="faint">No model is connected: the server runs what stands between fences.</p>}
      <label class="field">
        Runtime
        <select value={runtime.value} onChange={(event) => (runtime.value = event.currentTarget.value)} disabled={container.value !== null}>
          {runtimes.value.map((one) => (
            <option value={one['name']} key={one['name']}>
              {one['name']}, Python {one['python']}
              {one['state'] === 'ready' ? '' : `, ${one['state']}`}
            </option>
          ))}
        </select>
      </label>
      {container.value !== null && <p class="faint">The container has its runtime for life. A new container can have another one.</p>}
      <label class="field">
        Code execution tool
        <select value={toolVersion.value} onChange={(event) => (toolVersion.value = event.currentTarget.value)}>
          {VERSIONS.map((one) => (
            <option value={one} key={one}>
              {one.replace('code_execution_', '')}
              {one === 'code_execution_20250522' ? ': Python' : one === 'code_execution_20250825' ? ': shell, editor' : ': Python, shell, editor'}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        Results come as
        <select value={profile.value} onChange={(event) => (profile.value = event.currentTarget.value as typeof profile.value)}>
          <option value="anthropic">official blocks (anthropic)</option>
          <option value="inline">inline, charts in base64 (inline)</option>
          <option value="">the server chooses</option>
        </select>
      </label>
      <label class="field">
        Most tokens of an answer
        <input type="number" min="1" max="200000" inputMode="numeric" placeholder={String(USUAL_TOKENS)} value={maxTokens.value} onInput={(event) => (maxTokens.value = event.currentTarget.value)} />
      </label>
      <label class="field">
        System prompt
        <textarea dir="auto" rows={4} value={system.value} onInput={(event) => (system.value = event.currentTarget.value)} />
      </label>
      {canSearch() && (
        <label class="check">
          <input type="checkbox" checked={searches.value} onChange={(event) => (searches.value = event.currentTarget.checked)} />
          The model may search the web
        </label>
      )}
      <label class="check">
        <input type="checkbox" checked={showsJson.value} onChange={(event) => (showsJson.value = event.currentTarget.checked)} />
        Show the JSON beside every block
      </label>
      {key.value && (
        <div class="row">
          <Button icon="key" onClick={() => rememberKey('')}>
            Forget the API key
          </Button>
        </div>
      )}
      {about && (
        <dl class="facts">
          <div>
            <dt>Server</dt>
            <dd>Belljar {about['version']}</dd>
          </div>
          <div>
            <dt>Isolation</dt>
            <dd>{about['isolation']?.level}</dd>
          </div>
          <div>
            <dt>Upstream</dt>
            <dd>{about['upstream']}</dd>
          </div>
          <div>
            <dt>Sessions</dt>
            <dd>
              {about['sessions']?.live} of {about['sessions']?.max}
            </dd>
          </div>
        </dl>
      )}
      <p class="faint">
        <a href="page/licenses.md" target="_blank" rel="noopener">
          Licences
        </a>{' '}
        of what this page is made of
      </p>
    </div>
  )
}
