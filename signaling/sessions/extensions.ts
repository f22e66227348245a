/**
 * What a client can do beyond the protocol of the public app, as it says in the URL. *move*: it replaces a transport when
 * it is asked to. *resume*: it continues its session on another socket.
 */
const extensionNames = ['move', 'resume'] as const;
export type Extension = (typeof extensionNames)[number];
export type Extensions = ReadonlySet<Extension>;

/** Reads `extensions=move,resume`. Names that this service does not know are left out. */
export function parseExtensions(text: string | null): Extensions {
  const announced = (text ?? '').split(',').map((name) => name.trim());
  return new Set(extensionNames.filter((name) => announced.includes(name)));
}
