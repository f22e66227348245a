import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import type { ConsoleViewProps } from './console/console-view.tsx';
import type { PageConfig } from './page-config.ts';
import type { PageParams } from './page-params.ts';
import { RoomPage } from './views/room-page.tsx';

const CONSOLE_HASH = '#/console';

function useHash(): string {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const update = () => setHash(location.hash);
    addEventListener('hashchange', update);
    return () => removeEventListener('hashchange', update);
  }, []);
  return hash;
}

/** The console is its own chunk: who joins a room does not load it. */
function Console(props: ConsoleViewProps) {
  const [View, setView] = useState<ComponentType<ConsoleViewProps>>();
  useEffect(() => {
    void import('./console/console-view.tsx').then((module) => setView(() => module.ConsoleView));
  }, []);
  return View ? <View {...props} /> : null;
}

/** The two pages. A room that is joined goes on while the console is looked at. */
export function App({ config, params }: { config: PageConfig; params: PageParams }) {
  const onConsole = useHash() === CONSOLE_HASH;
  return (
    <>
      {onConsole && <Console config={config} replica={params.replica} token={params.token} />}
      <RoomPage config={config} params={params} hidden={onConsole} />
    </>
  );
}
