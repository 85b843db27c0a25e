import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../core/message.ts';
import { trainBpe } from './bpe-trainer.ts';
import { checkBridge } from './bridge-check.ts';
import { compactTemplate } from './compact-template.ts';
import { Renderer } from './renderer.ts';
import { Tokenizer } from './tokenizer.ts';

const addedTokens = ['<|im_start|>', '<|im_end|>', '<tool_call>', '</tool_call>', '<think>', '</think>'].map(
  (content) => ({ content, special: content.includes('|') }),
);
const trained = trainBpe(['the quick fox '.repeat(3)], { vocabSize: 420, addedTokens, eosToken: '<|im_end|>' });
const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
const stop = tokenizer.idOf('<|im_end|>') as number;
const renderer = (template: string): Renderer => new Renderer(tokenizer, template, [stop]);

/** The shape of Qwen3's: tools in the system message, results wrapped in a user message, old thinking dropped. */
const qwenLike = `{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}
{%- set ns = namespace(last=-1) %}
{%- for message in messages %}{%- if message.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{%- set content = message.content %}
{%- if '</think>' in content %}{%- if loop.index0 < ns.last %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}{%- endif %}
{{- '<|im_start|>assistant\\n' + content }}
{%- for call in message.tool_calls or [] %}{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}\\n</tool_call>' }}{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}`;

describe('the bridge', () => {
  it('holds for the compact template and for the shape of Qwen3', () => {
    checkBridge(renderer(compactTemplate));
    checkBridge(renderer(qwenLike));
  });

  it('gives after a recorded completion what a full render gives there', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('<') && !value.includes('\u0000'));
    const turn = fc.record({ says: text, hears: fc.array(text, { minLength: 1, maxLength: 3 }), tool: fc.boolean() });
    for (const template of [compactTemplate, qwenLike]) {
      const subject = renderer(template);
      fc.assert(
        fc.property(text, fc.array(turn, { minLength: 1, maxLength: 4 }), (first, turns) => {
          const messages: Message[] = [{ role: 'user', content: first }];
          let ids = Array.from(subject.prompt(messages, []));
          for (const { says, hears, tool } of turns) {
            const news = hears.map(
              (content): Message => (tool ? { role: 'tool', toolCallId: 'c', content } : { role: 'user', content }),
            );
            ids = [...ids, ...tokenizer.encode(says), stop, ...subject.tail(news, true)];
            messages.push({ role: 'assistant', content: says, toolCalls: [] }, ...news);
          }
          expect(ids).toEqual(Array.from(subject.prompt(messages, [])));
        }),
        { numRuns: 60 },
      );
    }
  });

  it('closes a completion that was cut by its length', () => {
    const news: Message[] = [{ role: 'user', content: 'on' }];
    const whole = renderer(compactTemplate).tailText(news, false);
    expect(whole).toBe(`<|im_end|>${renderer(compactTemplate).tailText(news, true)}`);
  });

  it('refuses a template that numbers messages from the end, one that fails, and one that is no template', () => {
    const numbered = compactTemplate.replace("message.role + '", "message.role + (loop.revindex | string) + '");
    expect(() => checkBridge(renderer(numbered))).toThrow(/cannot be rendered turn by turn: it rewrites/);
    const strict = `{%- for message in messages -%}{%- if message.role == 'tool' -%}{{ raise_exception('no tools here') }}{%- endif -%}{%- endfor -%}${compactTemplate}`;
    expect(() => checkBridge(renderer(strict))).toThrow(/no tools here/);
    expect(() => renderer('{% for %}')).toThrow(/does not parse/);
  });

  it('knows when the generation prompt opens thinking', () => {
    const thinking = compactTemplate.replace(
      "'<|im_start|>assistant\\n' -}}\n{%- endif",
      "'<|im_start|>assistant\\n<think>\\n' -}}\n{%- endif",
    );
    const subject = renderer(thinking);
    expect(subject.opensThinking).toBe(true);
    const said = Int32Array.from([...tokenizer.encode('hm</think>yes'), stop]);
    expect(subject.parse(said)).toEqual({ thinking: 'hm', content: 'yes', stop: null, toolCalls: [] });
  });
});
