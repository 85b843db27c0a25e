/** Starts a program that reads JSON lines, and says the next of `words` whenever it has given a result: WORDS PROGRAM ... */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const [words, program, ...argv] = process.argv.slice(2);
const left = JSON.parse(words);
const child = spawn(program, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
const say = () => {
  const content = left.shift();
  if (content === undefined) child.stdin.end();
  else child.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`);
};
createInterface({ input: child.stdout }).on('line', (line) => {
  console.log(line);
  if (JSON.parse(line).type === 'result') say();
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
say();
