/** The thread of an index: SQLite answers here, so that the event loop of who asks never waits for it. */
import { parentPort, workerData } from 'node:worker_threads';
import { boundaryOf, messageOf } from '../../core/errors.ts';
import { diskFiles } from '../../store/disk-files.ts';
import { isUnusable, openIndex, removeIndex } from './database.ts';
import { askQuery, type IndexAnswer, type IndexQuestion, type IndexWorkerData } from './protocol.ts';
import { IndexQueries } from './queries.ts';

const { path, directory } = workerData as IndexWorkerData;
let opened = openIndex(path, diskFiles, directory);
// Who asks is told.
opened.catch(() => undefined);

parentPort?.on('message', async ({ id, name, args }: IndexQuestion) => {
  parentPort?.postMessage(await answer(id, name, args));
});

async function answer(id: number, name: IndexQuestion['name'], args: IndexQuestion['args']): Promise<IndexAnswer> {
  try {
    return { id, value: await ask(name, args) };
  } catch (failure) {
    return { id, error: { boundary: boundaryOf(failure, 'store'), message: messageOf(failure) } };
  }
}

async function ask(name: IndexQuestion['name'], args: IndexQuestion['args']): Promise<unknown> {
  if (name === 'opened') {
    const { frames, rebuilt } = await opened;
    return { frames, rebuilt };
  }
  if (name === 'close') {
    (await opened).database.close();
    return null;
  }
  try {
    return askQuery(await queries(), name, args);
  } catch (failure) {
    // A page may be damaged where opening did not look.
    if (!isUnusable(failure)) throw failure;
    (await opened).database.close();
    removeIndex(path);
    opened = openIndex(path, diskFiles, directory);
    return askQuery(await queries(), name, args);
  }
}

/** All questions see one state of the record: the lock is held that other processes need to change the file. */
async function queries(): Promise<IndexQueries> {
  const { database } = await opened;
  if (!database.isTransaction) database.exec('BEGIN; SELECT count(*) FROM segment;');
  return new IndexQueries(database);
}
