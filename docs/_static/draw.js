// A dark page has light diagrams too: their colours are made for paper.
mermaid.initialize({ startOnLoad: true, theme: "neutral" });
