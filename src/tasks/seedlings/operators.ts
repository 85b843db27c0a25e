/**
 * Bug operators: small wrong edits of right code, found on its syntax tree.
 *
 * Not here: the operators that span files (`bug.ts`), and whether an edit is a bug at all, which only calls can tell.
 *
 * Invariants
 * 1. An edit stays on one line and leaves code that parses.
 * 2. No two edits of one text give the same text: the first operator in the list owns it, so that a pair
 *    (fragment, operator) that is held out cannot come back under another operator's name.
 */
import { type AnyNode, parse } from 'acorn';

export const lineOperators = [
  'arithmetic',
  'comparison-edge',
  'comparison-flip',
  'operand-swap',
  'argument-swap',
  'constant',
  'initial',
  'direction',
  'loop-start',
  'loop-bound',
  'slice-bound',
  'variable',
  'return',
  'property',
  'method',
  'negation',
  'logic',
] as const;

export type LineOperator = (typeof lineOperators)[number];

/** One wrong edit of a template: `code` is the whole text, `line` (from 0) the only line that differs. */
export interface Mutant {
  readonly operator: LineOperator;
  readonly line: number;
  readonly code: string;
}

interface Edit {
  readonly operator: LineOperator;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const arithmetic: Readonly<Record<string, readonly string[]>> = {
  '+': ['-'],
  '-': ['+'],
  '*': ['+', '/'],
  '/': ['*'],
  '%': ['/', '*'],
  '+=': ['-='],
  '-=': ['+='],
};
const edges: Readonly<Record<string, string>> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' };
const flips: Readonly<Record<string, string>> = {
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '===': '!==',
  '!==': '===',
};
const methods: Readonly<Record<string, string>> = {
  push: 'unshift',
  unshift: 'push',
  pop: 'shift',
  shift: 'pop',
  min: 'max',
  max: 'min',
  floor: 'ceil',
  ceil: 'floor',
};

/** A node with its ancestors, innermost last. */
interface Visit {
  readonly node: AnyNode;
  readonly parents: readonly AnyNode[];
}

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

export function visits(program: AnyNode): Visit[] {
  const found: Visit[] = [];
  const walk = (node: AnyNode, parents: readonly AnyNode[]): void => {
    found.push({ node, parents });
    const inner = [...parents, node];
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, inner);
    }
  };
  walk(program, []);
  return found;
}

export const parseScript = (code: string): AnyNode => parse(code, { ecmaVersion: 2024, sourceType: 'script' });

/** All wrong edits of a template, in text order of the operators' list. */
export function mutantsOf(code: string): Mutant[] {
  const all = visits(parseScript(code));
  const names = declarations(all);
  const edits = all.flatMap((visit) => editsAt(code, visit, names));
  edits.sort((a, b) => lineOperators.indexOf(a.operator) - lineOperators.indexOf(b.operator) || a.start - b.start);
  const seen = new Set([code]);
  const mutants: Mutant[] = [];
  for (const { operator, start, end, text } of edits) {
    if (code.slice(start, end).includes('\n')) continue;
    const mutated = code.slice(0, start) + text + code.slice(end);
    if (seen.has(mutated)) continue;
    seen.add(mutated);
    mutants.push({ operator, line: code.slice(0, start).split('\n').length - 1, code: mutated });
  }
  return mutants;
}

interface Declared {
  readonly name: string;
  /** The range in which it can be read. */
  readonly from: number;
  readonly to: number;
}

function declarations(all: readonly Visit[]): Declared[] {
  const declared: Declared[] = [];
  for (const { node, parents } of all) {
    if (node.type !== 'Identifier') continue;
    const parent = parents.at(-1);
    if (!parent) continue;
    const isParameter =
      (parent.type === 'ArrowFunctionExpression' || parent.type === 'FunctionExpression') &&
      parent.params.some((param) => param === node);
    if (isParameter) declared.push({ name: node.name, from: parent.body.start, to: parent.end });
    if (parent.type === 'VariableDeclarator' && parent.id === node) {
      const scope = parents.findLast(
        ({ type }) => type === 'BlockStatement' || type === 'ForStatement' || type === 'ForOfStatement',
      );
      const from = scope?.type === 'ForOfStatement' ? scope.body.start : parent.end;
      if (scope) declared.push({ name: node.name, from, to: scope.end });
    }
  }
  return declared;
}

function editsAt(code: string, { node, parents }: Visit, names: readonly Declared[]): Edit[] {
  const parent = parents.at(-1);
  const text = (of: AnyNode): string => code.slice(of.start, of.end);
  const edit = (operator: LineOperator, of: { start: number; end: number }, replacement: string): Edit => ({
    operator,
    start: of.start,
    end: of.end,
    text: replacement,
  });
  /** The operator between two nodes. */
  const between = (operator: LineOperator, left: AnyNode, right: AnyNode, from: string, to: string): Edit => {
    const start = code.indexOf(from, left.end);
    if (start < 0 || start >= right.start) throw new Error(`no ${from} between the operands of ${code}`);
    return edit(operator, { start, end: start + from.length }, to);
  };
  switch (node.type) {
    case 'BinaryExpression': {
      const { left, right, operator } = node;
      if (left.type === 'PrivateIdentifier') return [];
      const edits: Edit[] = [];
      for (const other of arithmetic[operator] ?? []) edits.push(between('arithmetic', left, right, operator, other));
      const edge = edges[operator];
      if (edge) {
        edits.push(between('comparison-edge', left, right, operator, edge));
        const inLoopHead = parent?.type === 'ForStatement' && parent.test === node;
        if (inLoopHead) edits.push(edit('loop-bound', right, `${text(right)} - 1`));
      }
      const flip = flips[operator];
      if (flip) edits.push(between('comparison-flip', left, right, operator, flip));
      const isSwappable = ['-', '/', '%', '+'].includes(operator) && !bindsLooser(left) && !bindsLooser(right);
      if (isSwappable && text(left) !== text(right)) {
        edits.push(edit('operand-swap', node, `${text(right)}${code.slice(left.end, right.start)}${text(left)}`));
      }
      return edits;
    }
    case 'AssignmentExpression': {
      const others = arithmetic[node.operator];
      if (!others) return [];
      const isCounting = text(node.right) === '1' || parent?.type === 'ForStatement';
      return others.map((other) =>
        between(isCounting ? 'direction' : 'arithmetic', node.left, node.right, node.operator, other),
      );
    }
    case 'LogicalExpression': {
      const { operator, left, right } = node;
      if (operator === '??') return [];
      return [between('logic', left, right, operator, operator === '&&' ? '||' : '&&')];
    }
    case 'UnaryExpression': {
      if (node.operator === '!') return [edit('negation', node, text(node.argument))];
      if (node.operator === '-') return [edit('negation', node, text(node.argument))];
      return [];
    }
    case 'IfStatement': {
      const { test } = node;
      return test.type === 'CallExpression' ? [edit('negation', test, `!${text(test)}`)] : [];
    }
    case 'ReturnStatement': {
      const { argument } = node;
      if (!argument) return [];
      const isGuard = parent?.type === 'IfStatement';
      const edits = isGuard ? [] : [edit('return', node, 'return;')];
      if (argument.type === 'Identifier' && !isConstant(argument.name)) {
        for (const name of readable(names, node, argument.name)) edits.push(edit('return', argument, name));
      }
      return edits;
    }
    case 'Literal': {
      if (typeof node.value === 'boolean') return [edit('constant', node, String(!node.value))];
      if (typeof node.value !== 'number') return [];
      const up = String(node.value + 1);
      if (parent?.type === 'VariableDeclarator') {
        const operator = parents.at(-3)?.type === 'ForStatement' ? 'loop-start' : 'initial';
        return [edit(operator, node, node.value === 1 ? '0' : up)];
      }
      if (parent?.type === 'AssignmentExpression') return [edit('constant', node, '2')];
      if (isSliceArgument(parent, node)) return [edit('slice-bound', node, up)];
      const down = node.value > 0 ? [edit('constant', node, String(node.value - 1))] : [];
      return [edit('constant', node, up), ...down];
    }
    case 'Identifier':
      return editsOfName(node, parents, names, edit);
    case 'CallExpression':
      return editsOfCall(node, text, edit);
    default:
      return [];
  }
}

const bindsLooser = ({ type }: AnyNode): boolean => type === 'BinaryExpression' || type === 'ConditionalExpression';

export const isConstant = (name: string): boolean => /^\$[KS]\d/.test(name);

function isSliceArgument(parent: AnyNode | undefined, node: AnyNode): boolean {
  return (
    parent?.type === 'CallExpression' &&
    parent.callee.type === 'MemberExpression' &&
    parent.callee.property.type === 'Identifier' &&
    parent.callee.property.name === 'slice' &&
    parent.arguments.some((argument) => argument === node)
  );
}

/** Names that can be read at a node, other than its own. */
function readable(names: readonly Declared[], at: AnyNode, own: string): string[] {
  const found = names.filter(({ name, from, to }) => name !== own && from <= at.start && at.end <= to);
  return [...new Set(found.map(({ name }) => name))];
}

type MakeEdit = (operator: LineOperator, of: AnyNode, replacement: string) => Edit;

function editsOfName(
  node: AnyNode & { type: 'Identifier' },
  parents: readonly AnyNode[],
  names: readonly Declared[],
  edit: MakeEdit,
): Edit[] {
  const parent = parents.at(-1);
  const { name } = node;
  if (!parent) return [];
  if (parent.type === 'MemberExpression' && parent.property === node && !parent.computed) {
    if (name === '$fldA') return [edit('property', node, '$fldB')];
    return name === '$fldB' ? [edit('property', node, '$fldA')] : [];
  }
  if (/^\$K\d$/.test(name)) {
    const operator =
      parent.type === 'VariableDeclarator' || parent.type === 'PropertyDefinition'
        ? 'initial'
        : isSliceArgument(parent, node)
          ? 'slice-bound'
          : 'constant';
    return [edit(operator, node, `${name}_p1`), edit(operator, node, `${name}_m1`)];
  }
  if (isConstant(name) || parent.type === 'ReturnStatement') return [];
  const isRead = readable(names, node, '').includes(name);
  const isTarget = parent.type === 'AssignmentExpression' && parent.left === node;
  if (!isRead || isTarget || parent.type === 'ArrayPattern') return [];
  return readable(names, node, name).map((other) => edit('variable', node, other));
}

function editsOfCall(
  node: AnyNode & { type: 'CallExpression' },
  text: (of: AnyNode) => string,
  edit: MakeEdit,
): Edit[] {
  const { callee, arguments: given } = node;
  const edits: Edit[] = [];
  if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return edits;
  const other = methods[callee.property.name];
  if (other) edits.push(edit('method', callee.property, other));
  const [first, second] = given;
  if (first && second && given.length === 2 && callee.property.name.startsWith('$')) {
    const swapped = { ...node, start: first.start, end: second.end };
    edits.push(edit('argument-swap', swapped, `${text(second)}, ${text(first)}`));
  }
  if (callee.property.name === 'slice' && first) {
    if (second) edits.push(edit('slice-bound', { ...node, start: first.start, end: second.end }, text(first)));
    if (second) edits.push(edit('slice-bound', { ...node, start: first.start, end: second.end }, text(second)));
  }
  return edits;
}
