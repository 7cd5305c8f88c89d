// Slices on rows against time, drawn on a canvas: wheel, buttons or + and − zoom, dragging or the arrows move, the pointer reads.
// Its data: {rows: [name], kinds: [name], end: seconds, slices: [[[kind, begin, end, label] …] of each row]}, in seconds.
for (const figure of document.querySelectorAll('figure.timeline')) {
  const data = JSON.parse(figure.querySelector('script').textContent);
  const canvas = figure.querySelector('canvas'), output = figure.querySelector('output'), context = canvas.getContext('2d');
  const axisHeight = 22, rowHeight = Math.max(14, Math.min(26, 420 / data.rows.length)), height = data.rows.length * rowHeight + axisHeight;
  let from = 0, to = data.end, left = 0, dragged = null, picked = null;

  const time = seconds => seconds >= 1 ? `${+seconds.toPrecision(5)} s` : seconds >= 1e-3 ? `${+(seconds * 1e3).toPrecision(5)} ms`
    : `${+(seconds * 1e6).toPrecision(4)} µs`;
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    return { ink: style.getPropertyValue('--ink'), faint: style.getPropertyValue('--faint'),
      kinds: data.kinds.map((_, k) => style.getPropertyValue(`--c${k % 8}`)) };
  };
  /// The first slice of a row that ends after a time: slices of a row follow one another.
  const first = (row, at) => {
    let low = 0, high = row.length;
    while (low < high) { const middle = (low + high) >> 1; if (row[middle][2] <= at) low = middle + 1; else high = middle; }
    return low;
  };

  function draw() {
    const width = canvas.clientWidth, ratio = devicePixelRatio || 1;
    if (!width) return;
    canvas.width = width * ratio, canvas.height = height * ratio, canvas.style.height = `${height}px`;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = '11px system-ui, sans-serif', context.textBaseline = 'middle';
    const colour = colours(), short = width < 540;
    left = short ? 28 : Math.max(...data.rows.map(name => context.measureText(name).width)) + 10;
    const x = t => left + (t - from) / (to - from) * (width - left);
    data.slices.forEach((row, r) => {
      const y = r * rowHeight;
      let painted = -1;  // pixels: slices narrower than one share it
      for (let i = first(row, from); i < row.length && row[i][1] < to; ++i) {
        const [kind, begin, end, label] = row[i], a = Math.max(left, x(begin)), b = Math.min(width, x(end));
        if (b <= painted) continue;
        context.fillStyle = colour.kinds[kind];
        context.globalAlpha = picked === row[i] ? 1 : .82;
        context.fillRect(a, y + 1, Math.max(b - a - (b - a > 3 ? 1 : 0), .7), rowHeight - 2);
        painted = b;
        context.globalAlpha = 1;
        if (b - a > 9 * 6 && b - a > context.measureText(label).width + 6) {
          context.fillStyle = '#000';
          context.fillText(label, a + 3, y + rowHeight / 2);
        }
      }
      context.fillStyle = colour.ink;
      context.clearRect(0, y, left, rowHeight);
      context.fillText(short ? String(r) : data.rows[r], 2, y + rowHeight / 2);
    });
    const raw = (to - from) / Math.max(2, width / 130), power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find(m => m * power >= raw);
    context.strokeStyle = colour.faint, context.fillStyle = colour.ink;
    for (let k = Math.ceil(from / step); k * step <= to; ++k) {
      const at = x(k * step), text = time(k * step);
      context.beginPath(), context.moveTo(at, height - axisHeight), context.lineTo(at, height - axisHeight + 5), context.stroke();
      context.fillText(text, Math.min(at + 2, width - context.measureText(text).width), height - axisHeight / 2 + 2);
    }
  }

  function zoom(factor, around = (from + to) / 2) {
    const span = Math.min(data.end, Math.max((to - from) * factor, data.end * 1e-6));
    from = Math.max(0, Math.min(around - (around - from) * span / (to - from), data.end - span)), to = from + span;
    draw();
  }
  function move(seconds) {
    const span = to - from;
    from = Math.max(0, Math.min(from + seconds, data.end - span)), to = from + span;
    draw();
  }
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [from + (event.clientX - box.left - left) / (box.width - left) * (to - from), Math.floor((event.clientY - box.top) / rowHeight)];
  };

  canvas.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.shiftKey && document.activeElement !== canvas) return;  // the page scrolls until the drawing is clicked
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : .8, at(event)[0]);
  }, { passive: false });
  canvas.addEventListener('pointerdown', event => { dragged = at(event)[0]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener('pointerup', () => { dragged = null; });
  canvas.addEventListener('pointermove', event => {
    const [when, r] = at(event);
    if (dragged !== null) return move(dragged - when);
    const row = data.slices[r], slice = row && row[first(row, when)];
    const before = picked;
    picked = slice && slice[1] <= when ? slice : null;
    output.textContent = picked ? `${data.rows[r]}: ${picked[3]}, ${data.kinds[picked[0]]}, ${time(picked[1])} to ${time(picked[2])} ` +
      `(${time(picked[2] - picked[1])})` : row ? `${data.rows[r]}: idle at ${time(when)}` : '';
    if (before !== picked) draw();
  });
  canvas.addEventListener('keydown', event => {
    const act = { '+': () => zoom(.6), '=': () => zoom(.6), '-': () => zoom(1.6), '0': () => zoom(1e9),
      ArrowLeft: () => move((from - to) / 5), ArrowRight: () => move((to - from) / 5) }[event.key];
    if (act) event.preventDefault(), act();
  });
  for (const button of figure.querySelectorAll('button')) button.addEventListener('click', () => zoom(Number(button.dataset.zoom)));
  new ResizeObserver(draw).observe(canvas);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  draw();
}
