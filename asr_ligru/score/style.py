"""The style sheet of the HTML report."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1e23; --quiet: #5d6570; --paper: #fff; --line: #d9dde3; --mark: #f3f5f8;
  --bad: #b3261e; --add: #1a6b3c; --c0: #0b62a4; --c1: #c2410c; --c2: #15803d; --c3: #a21caf; --c4: #8a6100;
  --c5: #0e7490; --c6: #be123c; --c7: #4d5562; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --quiet: #a0a8b3; --paper: #15181c; --line: #343a42;
  --mark: #20252b; --bad: #ff9d94; --add: #7fd6a0; --c0: #6cb6f2; --c1: #ffa066; --c2: #71d38f; --c3: #e69bf0;
  --c4: #e5c15c; --c5: #63d0e0; --c6: #ff8fa6; --c7: #b4bcc8; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
p { margin: .5rem 0; } .quiet { color: var(--quiet); font-size: .875rem; }
.note { border-left: 3px solid var(--c4); padding-left: .6rem; font-size: .9rem; }
.scroll { overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .35rem .7rem; text-align: left; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 500; } .num { text-align: right; } .best td { font-weight: 650; }
.charts { margin: 1.25rem 0; } figure { margin: .75rem 0 1.5rem; } svg { width: 100%; max-width: 44rem; height: auto; }
svg text { font: 13px system-ui, sans-serif; fill: var(--quiet); } .grid { stroke: var(--line); }
.axis { stroke: var(--quiet); } .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
circle { fill: currentColor; } .bar { stroke: currentColor; stroke-width: 2; opacity: .55; }
svg .label { fill: currentColor; font-weight: 600; } rect { fill: currentColor; } a { color: var(--c0); }
td.right { color: var(--quiet); } .h1 { background: color-mix(in srgb, var(--c1) 15%, transparent); }
.h2 { background: color-mix(in srgb, var(--c1) 30%, transparent); }
.h3 { background: color-mix(in srgb, var(--c1) 50%, transparent); }
.h4 { background: color-mix(in srgb, var(--c1) 75%, transparent); }
@media (max-width: 40rem) { svg text { font-size: 18px; } }
.key { display: inline-block; margin-right: 1rem; font-weight: 600; }
.key::before { content: ""; display: inline-block; width: .8em;
  height: .8em; border-radius: 50%; background: currentColor; margin-right: .35em; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); }
details { border-top: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; font-weight: 500; }
code { font-size: .85rem; background: var(--mark); padding: .1rem .3rem; border-radius: 3px; }
ul { padding-left: 1.2rem; } li { margin: .4rem 0; font-size: .9rem; }
.aligned { display: flex; flex-wrap: wrap; gap: .15rem .6rem; margin: 0 0 1rem; }
.word { display: inline-flex; flex-direction: column; } .word del { text-decoration: none; }
.S, .D, .I { background: var(--mark); border-radius: 3px; padding: 0 .3rem; }
.word ins { text-decoration: none; color: var(--add); font-weight: 600; } .word del { color: var(--bad); }
"""
