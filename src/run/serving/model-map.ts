/** Which model names the policy answers under: `--model-map name=policy`, `name=refuse`; `*` is every other name. */
import { EspalierError } from '../../core/errors.ts';

/** Every name is the policy's unless it is said otherwise. Throws EspalierError('config') for what is no entry. */
export function modelMap(entries: readonly string[]): (requested: string) => boolean {
  const map = new Map<string, boolean>();
  for (const entry of entries) {
    const match = /^(.+)=(policy|refuse)$/.exec(entry);
    if (match === null) {
      throw new EspalierError('config', `--model-map ${entry}: write it as name=policy or name=refuse; * is any other`);
    }
    map.set(match[1] as string, match[2] === 'policy');
  }
  return (requested) => map.get(requested) ?? map.get('*') ?? true;
}
