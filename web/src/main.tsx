import { render } from 'preact';

import { App } from './app.tsx';
import { loadPageConfig } from './page-config.ts';
import { readPageParams } from './page-params.ts';

const root = document.getElementById('app');
if (!root) throw new Error('the page has no #app element');

const config = await loadPageConfig();
render(
  <App config={config} params={readPageParams(location.search, navigator.hardwareConcurrency)} />,
  root,
);
