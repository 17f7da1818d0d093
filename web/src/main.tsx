import './style.css'
import { render } from 'preact'
import { App } from './parts/app'

render(<App />, document.getElementById('page')!)
