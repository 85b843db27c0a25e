/**
 * Runs real agents in front of the proxy and a scripted model, and says of each whether every turn was recorded exactly.
 *
 *   node test/agents/try-agents.ts [NAME ...] [--fault FAULT] [--keep] [--install-only]
 *
 * Without names: all in kinds/. `--fault` lets one thing go wrong in the middle of the second reply (real-faults.ts). `--keep` leaves the folder of each try, with what was sent in `requests.jsonl`. Ends
 * with 1 when a turn is not exact, a sampled token was tokenized again, a request breaks off for a cause that is not
 * its agent's, a request is refused, or the task is not done. `ESPALIER_AGENTS` is where agents are installed.
 */
import { spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { appendFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/core/errors.ts';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { turnsOf } from '../../src/trajectory/turns.ts';
import { startRig, tokenizer } from '../integration/proxy-fixture.ts';
import { type AgentKind, install, type Place, runAgent, versionOf } from './agents.ts';
import { type FaultName, faultNames, startFault } from './real-faults.ts';
import { commandOutput, createWork, isMended, lastWords, task } from './scripted-task.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    fault: { type: 'string', default: 'none' },
    keep: { type: 'boolean', default: false },
    'install-only': { type: 'boolean', default: false },
  },
});
const fault = faultNames.find((name) => name === values.fault);
if (fault === undefined) throw new Error(`there is no fault '${values.fault}'; there are ${faultNames.join(', ')}`);
const timeoutMs = 300_000;
const rollout = rolloutId(groupId('agents', 0), 0);

const installed = await installAll(await chosen(positionals));
const own = isolation();
if (values['install-only'] || installed.length === 0) {
  for (const { kind, folder } of installed) console.log(`${kind.name} ${versionOf(kind)}: in ${folder}`);
} else if (own !== null) {
  const flags = ['--fault', fault, ...(values.keep ? ['--keep'] : [])];
  const again = [process.execPath, import.meta.filename, ...flags, ...installed.map(({ kind }) => kind.name)];
  const env = { ...process.env, ESPALIER_ISOLATED: '1' };
  const { status } = spawnSync(own[0] as string, [...own.slice(1), ...again], { stdio: 'inherit', env });
  if (status !== 0) process.exitCode = 1;
} else {
  for (const { kind, folder } of installed) {
    const faults = await attempt(kind, folder, fault);
    for (const fault of faults) console.log(`  ${fault}`);
    if (faults.length > 0) process.exitCode = 1;
  }
}

interface Installed {
  readonly kind: AgentKind;
  readonly folder: string;
}

/** Says which agents cannot be installed, and gives the others. */
async function installAll(kinds: readonly AgentKind[]): Promise<Installed[]> {
  const done: Installed[] = [];
  for (const kind of kinds) {
    try {
      done.push({ kind, folder: await install(kind) });
    } catch (failure) {
      console.log(`${kind.name} ${versionOf(kind)}: ${messageOf(failure)}`);
      process.exitCode = 1;
    }
  }
  return done;
}

async function chosen(names: readonly string[]): Promise<AgentKind[]> {
  const folder = join(import.meta.dirname, 'kinds');
  const known = (await readdir(folder)).filter((file) => file.endsWith('.ts')).map((file) => basename(file, '.ts'));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`there is no agent '${unknown[0]}'; there are ${known.join(', ')}`);
  const wanted = names.length === 0 ? known : names;
  return Promise.all(
    wanted.map(async (name) => {
      const module: { readonly kind: AgentKind } = await import(`./kinds/${name}.ts`);
      return module.kind;
    }),
  );
}

/** What starts a program in a network that has nothing but loopback, or null where that is not allowed or done. */
function isolation(): readonly string[] | null {
  if (process.env['ESPALIER_ISOLATED'] === '1') return null;
  const prefix = ['unshare', '--user', '--map-root-user', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
  const { status } = spawnSync(prefix[0] as string, [...prefix.slice(1), 'true'], { stdio: 'ignore' });
  return status === 0 ? prefix : null;
}

/** Prints the line of the agent and gives what is not as it must be. */
async function attempt(kind: AgentKind, folder: string, fault: FaultName): Promise<string[]> {
  const where = await mkdtemp(join(tmpdir(), `espalier-${kind.name}-`));
  const watched = watchRequests(values.keep ? join(where, 'requests.jsonl') : null);
  try {
    return await attemptIn(where, kind, folder, fault, watched.answers);
  } catch (failure) {
    console.log(`${kind.name} ${versionOf(kind)}: ${messageOf(failure)}`);
    return ['it could not be tried'];
  } finally {
    watched.stop();
    if (values.keep) console.log(`  kept: ${where}`);
    else await rm(where, { recursive: true, force: true });
  }
}

async function attemptIn(
  where: string,
  kind: AgentKind,
  folder: string,
  fault: FaultName,
  answers: readonly string[],
): Promise<string[]> {
  const [home, work] = [join(where, 'home'), join(where, 'work')];
  await createWork(work);
  await mkdir(join(home, 'tmp'), { recursive: true });
  const place = { installed: folder, home, work, model: 'policy', task };
  const replies = kind.replies({ ...place, baseUrl: '', apiKey: '' });
  await using broken = await startFault(fault, kind, replies, work);
  const rig = await startRig(broken.sampler, join(where, 'run'), { modelName: place.model, ...broken.proxy });
  await using _ = { [Symbol.asyncDispose]: rig.stop };
  const options = { temperature: 1, maxTokensPerTurn: 4000, seed: 7n, trainable: true };
  const session = await rig.proxy.sessions.open(rollout, options);
  const baseUrl = await broken.wired(session.baseUrl);
  const whole: Place = { ...place, baseUrl, apiKey: session.apiKey };
  const { code, output } = await runAgent(kind, whole, timeoutMs);
  if (values.keep) await writeFile(join(where, 'output.txt'), output);

  const facts = await session.close();
  const records = rig.journal.index.turns(rollout);
  const causes = records.flatMap((record) => record.break?.cause ?? []);
  const changed = await isMended(work);
  const counts = [...new Set(causes)].map((cause) => `${cause} ${causes.filter((other) => other === cause).length}`);
  const line = [
    `${facts.turns} turns`,
    `${facts.exactTurns} exact`,
    `retokenizedSampledTokens ${facts.retokenizedSampledTokens}`,
    `breaks ${counts.join(', ') || 'none'}`,
    `file ${changed ? 'changed' : 'not changed'}`,
  ];
  const under = fault === 'none' ? '' : ` under ${fault}`;
  console.log(`${kind.name} ${versionOf(kind)}${under}: ${line.join(', ')}`);

  const faults: string[] = [];
  const must = (holds: boolean, fault: string): void => void (holds || faults.push(fault));
  const observed = kind.observed ?? 0;
  must(facts.exactTurns === facts.turns - observed, `${observed} turns may be other than exact`);
  must(observed > 0 || facts.retokenizedSampledTokens === 0, 'sampled tokens were tokenized again');
  must(facts.turns >= replies.length, `the script has ${replies.length} replies`);
  for (const cause of causes) must(kind.breaks?.includes(cause) === true, `a break that is not the agent's: ${cause}`);
  for (const answer of answers) {
    const isRight = / [23]\d\d$/.test(answer) || kind.refusals?.includes(answer) === true;
    must(isRight || broken.answers.test(answer), `answered: ${answer}`);
  }
  must(broken.happened(), `there was no ${fault}`);
  must(changed, 'the file is not as the edit leaves it');
  const prompts = turnsOf(records).map((turn) => tokenizer.decode(turn.prompt));
  must(
    prompts.some((prompt) => prompt.includes(commandOutput)),
    'no request holds what the command printed',
  );
  must(output.includes(lastWords), 'the agent did not print the last words of the model');
  must(code === 0, `the agent ended with ${code}`);
  if (faults.length > 0) faults.push(`its last words: ${JSON.stringify(output.slice(-1500))}`);
  return faults;
}

/** Method, path and status of every answer of this process's servers; with a file, bodies of requests too. */
function watchRequests(file: string | null): { readonly answers: readonly string[]; stop(): void } {
  const answers: string[] = [];
  const started = (message: unknown): void => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    const path = (request.url ?? '').replace(/\?.*/, '').replace(/^\/s\/[\w-]+/, '');
    const bytes: Buffer[] = [];
    if (file !== null) request.on('data', (chunk: Buffer) => bytes.push(chunk));
    response.on('close', () => {
      answers.push(`${request.method} ${path} ${response.writableFinished ? response.statusCode : 'broken'}`);
      if (file === null) return;
      const { authorization: _, 'x-api-key': __, ...headers } = request.headers;
      const line = { answer: answers.at(-1), headers, body: Buffer.concat(bytes).toString('utf8') };
      void appendFile(file, `${JSON.stringify(line)}\n`);
    });
  };
  subscribe('http.server.request.start', started);
  return { answers, stop: () => void unsubscribe('http.server.request.start', started) };
}
