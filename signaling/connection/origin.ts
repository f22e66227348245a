/** Scheme and host name, without the port: what an Origin is compared by. */
function siteOf(url: string): string | undefined {
  try {
    const { protocol, hostname } = new URL(url);
    return hostname ? `${protocol}//${hostname}` : undefined;
  } catch {
    return undefined;
  }
}

/** Tells whether a browser's page may use this service. Without an Origin it is no browser, and may. */
export function createOriginCheck(publicUrls: string[]): (origin: string | undefined) => boolean {
  const allowed = new Set(publicUrls.map(siteOf));
  return (origin) => {
    if (origin === undefined || origin === '') return true;
    const site = siteOf(origin);
    return site !== undefined && allowed.has(site);
  };
}
