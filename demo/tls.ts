import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { generate } from 'selfsigned';

export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

/** Makes a certificate for `localhost` and 127.0.0.1 that browsers warn of, since nobody vouches for it. */
export async function selfSignedCertificate(dir: string): Promise<TlsFiles> {
  const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  const files = { certFile: path.join(dir, 'cert.pem'), keyFile: path.join(dir, 'key.pem') };
  await mkdir(dir, { recursive: true });
  await writeFile(files.certFile, pems.cert);
  await writeFile(files.keyFile, pems.private, { mode: 0o600 });
  return files;
}
