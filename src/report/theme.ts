/**
 * Colors and type of the report and of the figure: a table of styles, no logic.
 *
 * The five line colors are Okabe and Ito's (Color Universal Design, 2008), darkened on white and lightened on black until
 * their labels can be read as text (contrast 4.5 to 1). A set is told apart by its label and a decoding by its dashes,
 * so the charts also work in gray.
 */
const light = `
--paper:#fff;--ink:#1b1f1d;--soft:#5b6560;--faint:#e3e8e5;--wash:#f5f8f6;--leaf:#1d6b45;
--c1:#0068a3;--c2:#bd4b00;--c3:#00735a;--c4:#9a4580;--c5:#666d69;--good:#00735a;--bad:#b3401a`;
const dark = `
--paper:#121513;--ink:#e6ebe8;--soft:#9ba69f;--faint:#2b322e;--wash:#1a1f1c;--leaf:#6fc598;
--c1:#56b4e9;--c2:#f0954a;--c3:#3fc79a;--c4:#e39ac7;--c5:#a0a8a3;--good:#3fc79a;--bad:#ff9466`;

const colors = [1, 2, 3, 4, 5]
  .map((n) => `.line.c${n},.dot.c${n}{stroke:var(--c${n})}.band.c${n},.label.c${n}{fill:var(--c${n})}`)
  .join('');

const heroColors = [1, 2, 3, 4, 5].map((n) => `.hero.s${n} .to,.hero.s${n} h3{color:var(--c${n})}`).join('');

/** What a chart needs, alone or in the page. */
export const chartStyle = `
:root{color-scheme:light dark;${light}}
@media(prefers-color-scheme:dark){:root{${dark}}}
.chart{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Ubuntu,sans-serif;font-variant-numeric:tabular-nums}
.chart .grid{stroke:var(--faint)}.chart .zero,.chart .notch{stroke:var(--soft)}
.chart .tick,.chart .axis{fill:var(--soft)}.chart .label{font-weight:600}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.chart .line.dashed{stroke-width:1.5;stroke-dasharray:2 4}
.chart .dot{fill:var(--paper);stroke-width:1.75}.chart .band{opacity:.16}
.chart .hover rect{fill:transparent}.chart .hover line{stroke:var(--soft);opacity:0}
.chart .hover:hover line{opacity:.6}
${colors}`;

export const pageStyle = `${chartStyle}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,Ubuntu,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1180px;margin:0 auto;padding:32px 28px 64px}
h1,h2,h3,p,dl,dd,ol,figure{margin:0;padding:0}
h1{font-size:26px;letter-spacing:-.01em;line-height:1.2}
h2{font-size:19px;letter-spacing:-.01em;margin:56px 0 4px}
h3{font-size:14px}
.lede{color:var(--soft);max-width:96ch;margin-bottom:20px}
header{display:flex;gap:18px;align-items:center}
header .mark{width:56px;height:56px;flex:none;stroke:var(--leaf);fill:none;stroke-width:2.5;stroke-linecap:round}
header .mark circle{fill:var(--leaf);stroke:none}
header p{color:var(--soft)}
.heroes{display:grid;grid-template-columns:1fr 1fr;gap:20px;margin:28px 0 0}
.hero{border:1px solid var(--faint);border-radius:12px;padding:20px 22px;background:var(--wash)}
.hero .what{color:var(--soft);font-size:13px;line-height:1.4}
.hero .change{font-size:44px;font-weight:650;letter-spacing:-.03em;line-height:1.15;margin:8px 0 4px}
.hero .change .from{color:var(--soft);font-weight:450}
.hero .gain{font-weight:600}
${heroColors}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));margin:20px 0 0;
border:1px solid var(--faint);border-radius:12px;overflow:hidden}
.facts div{box-shadow:0 0 0 .5px var(--faint);padding:12px 16px}
.facts dt{color:var(--soft);font-size:12.5px;line-height:1.35}
.facts dd{font-size:19px;font-weight:600;letter-spacing:-.01em}
.facts .ok dd{color:var(--good)}.facts .broken dd{color:var(--bad)}
.wide{display:grid;grid-template-columns:1fr 1fr;gap:28px}
.small{display:grid;grid-template-columns:repeat(3,1fr);gap:26px 28px;margin-top:16px}
figure{min-width:0}figure h3{margin-bottom:2px}figure p{color:var(--soft);font-size:12.5px;line-height:1.35}
.chart{display:block;width:100%;height:auto;margin-top:8px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
.scroll{margin-top:18px;overflow-x:auto;max-height:420px;overflow-y:auto}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--faint);white-space:nowrap}
th{color:var(--soft);font-weight:500}
th.text,td.text{text-align:left}
td.strong{font-weight:600}
details{margin-top:14px}summary{cursor:pointer;color:var(--soft)}
.statement{border-left:3px solid var(--leaf);padding:10px 16px;background:var(--wash);border-radius:0 8px 8px 0}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:24px;margin-top:18px;align-items:start}
.transcript{border:1px solid var(--faint);border-radius:12px;overflow:hidden;min-width:0}
.transcript .top{display:flex;justify-content:space-between;gap:12px;padding:12px 16px;background:var(--wash);
border-bottom:1px solid var(--faint)}
.transcript .id{color:var(--soft);font-size:12px;overflow-wrap:anywhere}
.verdict{font-weight:650;white-space:nowrap}.verdict.good{color:var(--good)}.verdict.bad{color:var(--bad)}
.turns{list-style:none}
.turn{display:grid;grid-template-columns:34px minmax(0,1fr);border-bottom:1px solid var(--faint);padding:9px 16px 9px 0}
.turn .number{color:var(--soft);text-align:right;padding-right:10px;font-size:13px}
.said{white-space:pre-wrap;overflow-wrap:anywhere}
.call{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.call b{color:var(--c1)}.call .key{color:var(--soft)}.call .unparsed{color:var(--bad)}
pre{margin:3px 0 7px;padding:7px 10px;background:var(--wash);border-radius:6px;max-height:19em;overflow:auto;
font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
pre.given{border-left:2px solid var(--c1)}
.end{padding:12px 16px}.end p{font-size:13.5px}.end .tests{font-size:12.5px;color:var(--soft)}
.notes dt{font-weight:600;margin-top:10px}.notes dd{color:var(--soft);max-width:80ch}
footer{margin-top:56px;color:var(--soft);font-size:12.5px;border-top:1px solid var(--faint);padding-top:12px}
@media screen and (max-width:860px){.heroes,.wide,.pair{grid-template-columns:1fr}.small{grid-template-columns:1fr 1fr}
main{padding:20px 16px 40px}}
@media screen and (max-width:560px){.small{grid-template-columns:1fr}.hero .change{font-size:34px}}
@media print{:root{${light}}body{font-size:12px}main{max-width:none;padding:0}h2{margin-top:28px;break-after:avoid}
.hero .change{font-size:32px}.lede{break-after:avoid}
figure,.hero,.turn{break-inside:avoid}pre,.scroll{margin-top:18px;max-height:none;overflow:visible}.hover{display:none}}
`;
