// One channel, large: asks the MES for as many points as there are pixels, and for finer ones when somebody zooms.
const box = document.getElementById("chart");
const note = document.getElementById("resolution");
const colour = (name) => {
  // Plotly reads no CSS; a probe turns a token into the colour it is now.
  const probe = document.createElement("i");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};
// The chart is on the viewer's clock and knows no zones; the server is asked in UTC.
const inUtc = (drawn) => {
  const text = String(drawn).replace(" ", "T").slice(0, 23);
  return new Date(text.includes("T") ? text : `${text}T00:00`).toISOString();
};
let asked = 0;

async function points(from, to) {
  const address = new URL(box.dataset.points, location.href);
  address.searchParams.set("points", String(Math.max(100, Math.min(2000, Math.round(box.clientWidth || 800)))));
  if (from) { address.searchParams.set("from", from); address.searchParams.set("to", to); }
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`The MES answered ${answer.status}.`);
  return answer.json();
}

function traces(series) {
  const strong = colour("busy-ink");
  return series.flatMap((one) => {
    const name = [one.step, one.run].filter(Boolean).join(", ");
    const common = { x: one.at.map((at) => mesLocal.local(at, "%Y-%m-%d %H:%M:%S.%L")), type: "scatter", mode: "lines", connectgaps: false, legendgroup: name };
    return [
      { ...common, y: one.low, line: { width: 0 }, hoverinfo: "skip", showlegend: false },
      { ...common, y: one.high, line: { width: 0 }, fill: "tonexty", fillcolor: strong.replace("rgb(", "rgba(").replace(")", ", 0.22)"), hoverinfo: "skip", showlegend: false },
      { ...common, y: one.mean, name, line: { width: 1.4, color: strong }, customdata: one.low.map((low, index) => [low, one.high[index]]), hovertemplate: "%{y:.5g}  (%{customdata[0]:.5g} … %{customdata[1]:.5g})<extra></extra>" },
    ];
  });
}

function layout() {
  const text = colour("chart-text"), line = colour("chart-line");
  const axis = { gridcolor: line, zeroline: false, linecolor: line, color: text };
  return {
    margin: { l: 60, r: 20, t: 10, b: 45 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, color: text, size: 13 }, hovermode: "x",
    xaxis: { ...axis, type: "date", title: { text: mesLocal.zone } }, yaxis: { ...axis, automargin: true }, showlegend: false,
  };
}

function tell(series) {
  const widths = series.map((one) => one.bucket_s);
  const width = Math.max(...widths);
  note.textContent = `Each point stands for up to ${width < 90 ? `${width.toPrecision(2)} s` : `${(width / 60).toPrecision(2)} min`}: the line is the mean, the band from the lowest to the highest value. Zoom to see more; double-click to see all.`;
}

async function draw() {
  const series = await points();
  if (!series.length || !window.Plotly) return;
  box.hidden = false;
  document.getElementById("drawn").hidden = true;
  tell(series);
  await Plotly.newPlot(box, traces(series), layout(), { responsive: true, displayModeBar: false });
  box.on("plotly_relayout", async (change) => {
    const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
    if (from === undefined && !change["xaxis.autorange"]) return;
    const mine = ++asked;
    const finer = await points(from && inUtc(from), to && inUtc(to));
    if (mine !== asked || !finer.length) return;
    tell(finer);
    Plotly.react(box, traces(finer), { ...layout(), xaxis: { ...layout().xaxis, range: from ? [from, to] : undefined, autorange: !from } });
  });
}

draw().catch((error) => { note.textContent = `${error.message} The drawing above is as it was when the page was made.`; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!box.hidden) Plotly.relayout(box, layout()); });
