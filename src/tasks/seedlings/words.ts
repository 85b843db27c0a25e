/**
 * The words that programs are named with. One token each in a small vocabulary, so the pools are closed; what is random,
 * and held out, is which words meet.
 */
import { Random, seedOf } from '../../core/random.ts';

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** First parts of function, class and method names. */
export const verbs = words(`
  add build call carry cast check clean close copy cut draw drop fetch fill find fix fold gather get give grab
  grow hold join keep lift load look make mark match merge mix move open pack pick plan plant press pull push
  reach read run save scan seek send show sort spin stamp store take tell trace track trade turn use walk wash
  watch weigh wrap write`);

/** Nouns in the singular: numbers, record fields, files, second parts of names. */
export const nouns = words(`
  age apple badge bag ball bird boat book box bread bridge cake card cart chair city clock cloud coin crop cup
  day desk door farm fee field fish flag floor game garden gift grade hill horse house jar key lake lamp level
  map mile minute note order page paint pen pipe plate player pond price rain ring river road rock roof room
  score seat seed ship shop sign star stone table ticket tile tool tower toy train tree wall week wheel wood
  year`);

/** Names of lists. */
export const plurals = words(`
  apples bags balls birds boats books boxes cards carts chairs coins cups days doors fees fields gifts grades
  hills jars keys lamps levels miles notes orders pages pens plates players prices rings roads rooms scores
  seats ships shops stones tables tickets tiles tools towers trains trees weeks years`);

/** Names of texts. */
export const texts = words(
  'caption code headline label line message motto name phrase quote slogan text title verse word',
);

/** Names of results in the making. */
export const results = words('answer best found kept left outcome output result sum total');

/** Names of one of many. */
export const items = words('cell each entry item one part piece thing unit value');

/** Names of positions. */
export const indexes = words('at i index j k n pos spot');

/** Texts that programs are called with. */
export const samples = words(
  'ant bee cat cow crab deer dog duck elk fox frog goat hare hen lion mole owl pig ram rat seal swan wolf',
);

const heldOutNames = new Map<string, boolean>();

/** A fifth of all pairs verb + noun is never seen in training. */
export function isHeldOutName(verb: string, noun: string): boolean {
  const key = `${verb} ${noun}`;
  let heldOut = heldOutNames.get(key);
  if (heldOut === undefined) {
    heldOut = new Random(seedOf('seedlings/name', key)).below(5) === 0;
    heldOutNames.set(key, heldOut);
  }
  return heldOut;
}

export const capitalized = (word: string): string => `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
