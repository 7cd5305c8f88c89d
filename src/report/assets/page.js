// Values under the pointer of a plot. A figure carries its series (data-series: [low, high, log, x label, [[name, [[x, y] …]] …]]), each of
// its drawings where the axes lie (data-frame: [width, left, right, top, bottom]).
const figures = number => {
  const size = Math.abs(number);
  return size !== 0 && (size >= 1e6 || size < 1e-3) ? number.toExponential(2) : String(Number(number.toPrecision(6)));
};

/// The place between 0 and 1 of a value on an axis, and back.
const axis = (low, high, log) => {
  const [a, b] = log ? [Math.log(low), Math.log(high)] : [low, high];
  return { place: v => ((log ? Math.log(v) : v) - a) / (b - a), value: p => log ? Math.exp(a + p * (b - a)) : a + p * (b - a) };
};

for (const figure of document.querySelectorAll('figure[data-series]')) {
  const [low, high, log, label, series] = JSON.parse(figure.dataset.series);
  const surface = figure.dataset.surface && JSON.parse(figure.dataset.surface);
  const output = figure.querySelector('output'), x = axis(low, high, log);
  for (const svg of figure.querySelectorAll('svg[data-frame]')) {
    const [width, left, right, top, bottom] = JSON.parse(svg.dataset.frame), cursor = svg.querySelector('.cursor');
    svg.addEventListener('pointermove', event => {
      const box = svg.getBoundingClientRect(), scale = width / box.width;
      const at = x.value(((event.clientX - box.left) * scale - left) / (right - left));
      if (surface) {
        const y = axis(surface.low, surface.high, true).value((bottom - (event.clientY - box.top) * scale) / (bottom - top));
        const loss = surface.E + (surface.A / at ** surface.alpha + surface.B / y ** surface.beta) ** surface.gamma;
        output.textContent = `N ${figures(at)}, D ${figures(y)}: loss ${loss.toFixed(3)}, ${figures(6 * at * y)} FLOP, ` +
          `${(y / at).toPrecision(3)} tokens per parameter`;
        return;
      }
      let nearest = null;
      const near = series.filter(s => s[1].length).map(([name, points]) => {
        const place = x.place(at), away = p => Math.abs(x.place(p[0]) - place);
        const point = points.reduce((a, b) => away(b) < away(a) ? b : a);
        if (nearest === null || away(point) < Math.abs(x.place(nearest) - place)) nearest = point[0];
        return [name, point];
      });
      output.textContent = `${label} ${figures(nearest)}: ` + near.map(
        ([name, p]) => `${name} ${figures(p[1])}` + (p[0] === nearest ? '' : ` (at ${figures(p[0])})`)).join(', ');
      cursor.setAttribute('d', `M${left + x.place(nearest) * (right - left)} ${top}V${bottom}`);
    });
  }
}

// A link to an explanation opens it.
const open = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener('hashchange', open);
open();
