/** Figures for Prometheus, over real sockets. */
import { afterEach, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { AccessKey } from '../../src/proxy/access.ts';
import { Metrics } from '../../src/proxy/metrics.ts';
import { createProxy, type ProxyServer } from '../../src/proxy/proxy.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import { clientOf, LetterSampler, removeDirectory, renderer, sessionOptions, startRig } from './proxy-fixture.ts';

const adminKey = 'an-admin-key-of-0123456789-abcdefghijk';
let directory = '';
let journal: Journal;
let proxy: ProxyServer;

afterEach(async () => {
  await proxy.close();
  await journal.close();
  await removeDirectory(directory);
});

const read = (key: string, method = 'GET') =>
  fetch(`${proxy.url}/espalier/metrics`, { method, headers: { authorization: `Bearer ${key}` } });

it('counts turns, breaks and tokens for whoever holds the admin key', async () => {
  const rig = await startRig(new LetterSampler(() => 'Done.'));
  directory = rig.directory;
  await rig.stop();
  const metrics = new Metrics(AccessKey.of(adminKey, 'the test'));
  journal = await Journal.open(directory, { observer: metrics });
  const sampler = new LetterSampler(() => 'Done.');
  proxy = await createProxy({ sampler, renderer: renderer(), journal, modelName: 'seedling', metrics });
  const session = await proxy.sessions.open(rolloutId(groupId('step/0', 0), 0), sessionOptions);
  const ask = (content: string) =>
    clientOf(session).chat.completions.create({ model: 'seedling', messages: [{ role: 'user', content }] });
  await ask('Fix total.');
  await ask('Something else.');

  const text = await (await read(adminKey)).text();
  const sampled = journal.index.turns(rolloutId(groupId('step/0', 0), 0));
  const tokens = sampled.reduce((sum, { completion }) => sum + completion.length, 0);
  expect(text).toMatch(/^espalier_turns_total\{fidelity="exact"\} 2$/m);
  expect(text).toMatch(/^espalier_prefix_breaks_total\{cause="new-root"\} 1$/m);
  expect(text).toMatch(new RegExp(`^espalier_sampled_tokens_total ${tokens}$`, 'm'));
  expect(text).toMatch(/^espalier_dropped_turns_total 0$/m);
  // The request that reads them.
  expect(text).toMatch(/^espalier_calls_in_flight 1$/m);
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  expect((await read(session.apiKey)).status).toBe(401);
  expect((await read(adminKey, 'POST')).status).toBe(405);
});
