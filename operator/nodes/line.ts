import { connect } from 'node:net';

/**
 * Holds a connection to a node open without sending anything. The machine that a process runs on closes its connections when
 * it ends, however it ends, so that the end shows at once. A node also closes an idle connection now and then: a close is a
 * reason to ask, and no proof.
 *
 * @param onClose called once when the connection ends or can't be made, and not after the line was closed from here
 * @returns how to close the line
 */
export function openLine(url: string, onClose: () => void): () => void {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) });
  socket.unref();
  // What the node says before it closes an idle connection is of no interest, and must be read for the end to be seen.
  socket.resume();
  socket.on('error', () => undefined);
  socket.once('close', onClose);
  return () => {
    socket.off('close', onClose);
    socket.destroy();
  };
}
