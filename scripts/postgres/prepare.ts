/** Puts the embedded Postgres into the cache, so that the first start does not have to. */
import { serverAccount } from './account.ts';
import { preparePostgres } from './files.ts';

await preparePostgres(await serverAccount());
